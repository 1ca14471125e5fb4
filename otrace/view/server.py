"""Serves traces to Perfetto's UI, from this machine to this machine only.

The UI is a page from https://ui.perfetto.dev that runs in the browser, or one that is served from
here. The public one fetches the trace from port 9001 of 127.0.0.1; from another port a page of this
server hands the trace over by postMessage. Pages of other origins are refused, and so are requests
for another host name (a page whose name was made to point here), other paths and other methods.
"""

from __future__ import annotations

import os
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

from otrace.errors import OtraceError, ViewError
from otrace.view import pages
from otrace.view.items import Item, Library
from otrace.view.ui import ONLINE, URL_PORT, LocalUi, content_type

HOST = "127.0.0.1"
TIMEOUT_S = 60
LOCAL_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'; "
    "connect-src 'self' data: blob:; form-action 'none'; frame-ancestors 'none'"
)


class ViewServer(ThreadingHTTPServer):
    """Serves the items of a library. Raises ViewError when the port cannot be had."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        library: Library,
        *,
        port: int | None = None,
        ui: LocalUi | None = None,
        once: bool = False,
    ) -> None:
        """`port` 0 is any free one, None the one that the public UI fetches from, or any.

        `ui`: serve this UI, instead of using the public one.
        """
        self.library = library
        self.ui = ui
        self.once = once
        """Whether `serve_forever` ends after a trace has been fetched whole."""
        try:
            self._bind(URL_PORT if port is None else port)
        except ViewError:
            if port is not None:
                raise
            self._bind(0)

    def _bind(self, port: int) -> None:
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ViewError(
                f"cannot listen on {HOST}:{port}: {reason}; end what uses the port, or choose "
                "another with --port"
            ) from None

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self.server_address[1])

    @property
    def origin(self) -> str:
        """Where this server is."""
        return f"http://{HOST}:{self.port}"

    def trace_url(self, item: Item) -> str:
        """Where an item's trace is."""
        return f"{self.origin}/trace/{quoted(item.name)}"

    def ui_url(self, item: Item) -> str | None:
        """The UI, opening an item; None where the trace has to be handed over by a page."""
        place = f"/#!/?url={quote(self.trace_url(item), safe=':/')}"
        if self.ui is not None:
            return self.origin + place
        return ONLINE + place if self.port == URL_PORT else None

    @property
    def start_url(self) -> str:
        """What to open in a browser: the UI with the trace, or a page of this server."""
        if self.library.is_folder:
            return f"{self.origin}/list"
        items = self.library.items()
        if not items:
            raise ViewError(f"cannot view {self.library.title}: it has vanished")
        return self.ui_url(items[0]) or f"{self.origin}/open/{quoted(items[0].name)}"

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose requests are answered."""
        own = (self.origin, f"http://localhost:{self.port}")
        return own if self.ui is not None else (ONLINE, *own)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a browser that goes away in the middle is not worth a word."""

    def fetched(self) -> None:
        """A trace was sent to its end."""
        if self.once:
            self.shutdown()


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, and the browser's question before it fetches from a public page."""

    server: ViewServer
    server_version = "otrace"
    sys_version = ""
    timeout = TIMEOUT_S

    def do_OPTIONS(self) -> None:
        """A preflight request: may a page of that origin fetch from a local address?"""
        if self.refuse():
            return
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Allow-Private-Network", "true")
        self.end_headers()

    def do_HEAD(self) -> None:
        """Headers alone."""
        self.do_GET()

    def do_GET(self) -> None:
        """A page, a trace, or a file of the UI."""
        if self.refuse():
            return
        path = urlsplit(self.path).path
        folder, _, rest = path[1:].partition("/")
        name = unquote(rest, errors="surrogateescape")
        try:
            if folder == "trace":
                self.send_trace(name)
            elif folder == "open":
                self.send_opening(name)
            elif path == "/list":
                self.send_page(pages.list_page(self.server.library))
            elif self.server.ui is not None:
                self.send_ui(self.server.ui.find(unquote(path)))
            elif path == "/":
                self.redirect("/list")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)
        except OtraceError as error:
            self.send_page(pages.error_page(str(error)), HTTPStatus.INTERNAL_SERVER_ERROR)

    def send_trace(self, name: str) -> None:
        """An item's trace file, or the range that is asked for."""
        item = self.server.library.find(name)
        if item is None:
            gone = HTTPStatus.NOT_FOUND if self.server.library.is_folder else HTTPStatus.GONE
            self.send_error(gone, "There is no such trace (any more)")
            return
        if self.send_file(self.server.library.trace_of(item), "application/octet-stream"):
            self.server.fetched()

    def send_opening(self, name: str) -> None:
        """Convert an item, and send the browser to the UI."""
        item = self.server.library.find(name)
        if item is None:
            self.send_page(pages.error_page(f"{name} is not there any more"), HTTPStatus.NOT_FOUND)
            return
        self.server.library.trace_of(item, fresh=True)
        url = self.server.ui_url(item)
        if url is not None:
            self.redirect(url)
        else:
            self.send_page(pages.handover_page(item.name, f"/trace/{quoted(item.name)}"))

    def send_ui(self, path: str | None) -> None:
        """A file of the UI."""
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self.send_file(path, content_type(path), policy=LOCAL_POLICY)

    def send_file(self, path: str, kind: str, *, policy: str = "") -> bool:
        """A file, or a range of it; says whether its last byte was sent."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.send_error(HTTPStatus.GONE)
            return False
        with open(descriptor, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            wanted = None if "If-Range" in self.headers else self.headers.get("Range")
            start, end = range_of(wanted, size)
            if start > end:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self.end_headers()
                return False
            whole = (start, end) == (0, size)
            self.send_response(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT)
            if not whole:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            if self.command == "HEAD":
                return False
            if end > start:
                sent = self.connection.sendfile(file, start, end - start)
                return sent == end - start and end == size
            return True

    def send_page(self, page: pages.Page, status: HTTPStatus = HTTPStatus.OK) -> None:
        """A page of our own."""
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", page.policy)
        self.send_header("Content-Length", str(len(page.html)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.html)

    def redirect(self, url: str) -> None:
        """Send the browser elsewhere."""
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def refuse(self) -> bool:
        """Answer requests that are not the viewer's with 403; says whether it was one."""
        port = self.server.port
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.send_error(HTTPStatus.FORBIDDEN, "This host name is not served")
            return True
        # A foreign page can load things without naming its origin; browsers say so.
        foreign = self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if origin not in self.server.origins if origin is not None else foreign:
            self.send_error(HTTPStatus.FORBIDDEN, "This origin is not served")
            return True
        return False

    def end_headers(self) -> None:
        """Every answer may be read by the UI and by nobody else."""
        if self.server.ui is None:
            self.send_header("Access-Control-Allow-Origin", ONLINE)
            self.send_header("Access-Control-Expose-Headers", "Content-Range, Accept-Ranges")
            self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
        else:
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Vary", "Origin")
        super().end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing: requests are not worth a word."""


def quoted(name: str) -> str:
    """A name as one part of a URL's path."""
    return quote(name, safe="", errors="surrogateescape")


def range_of(header: str | None, size: int) -> tuple[int, int]:
    """(start, end) of the bytes that a Range header asks for; start > end where there are none.

    Anything but one plain range is the whole file, as HTTP allows.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").strip(), re.ASCII)
    if found is None or found[0] == "bytes=-":
        return 0, size
    first, last = found[1], found[2]
    if not first:  # the last bytes
        count = min(int(last), size)
        return (size - count, size) if count else (1, 0)
    if last and int(last) < int(first):
        return 0, size
    start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < size else (1, 0)
