"""Serves one trace to Perfetto's UI, from this machine to this machine only.

The UI is a page from https://ui.perfetto.dev that runs in the browser and fetches the trace from
127.0.0.1. Pages of other origins are refused, and so are requests for another host name (a page
whose name was made to point here), other paths and other methods.
"""

from __future__ import annotations

import os
import shutil
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

from otrace.errors import ViewError

HOST = "127.0.0.1"
DEFAULT_PORT = 9001
"""The port of 127.0.0.1 that Perfetto's UI is allowed to fetch from."""
UI = "https://ui.perfetto.dev"
TIMEOUT_S = 60


class TraceServer(ThreadingHTTPServer):
    """Serves the file `path` under one name. Raises ViewError when the port cannot be had."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path: str, *, port: int = DEFAULT_PORT, once: bool = False) -> None:
        self.path = path
        self.once = once
        """Whether `serve` ends after the file has been fetched whole."""
        self.location = "/" + quote(os.path.basename(path), errors="surrogateescape")
        try:
            super().__init__((HOST, port), TraceHandler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ViewError(
                f"cannot listen on {HOST}:{port}: {reason}; end what uses the port, or choose "
                f"another with --port (Perfetto's UI fetches from {DEFAULT_PORT} only)"
            ) from None

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where the trace is served."""
        return f"http://{HOST}:{self.port}{self.location}"

    @property
    def ui_url(self) -> str:
        """Perfetto's UI, opening the trace."""
        return f"{UI}/#!/?url={self.url}"

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose requests are answered."""
        return (UI, f"http://{HOST}:{self.port}", f"http://localhost:{self.port}")

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a browser that goes away in the middle is not worth a word."""

    def fetched(self) -> None:
        """The file was sent whole."""
        if self.once:
            self.shutdown()


class TraceHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the one file, and the browser's question before it fetches."""

    server: TraceServer
    server_version = "otrace"
    sys_version = ""
    timeout = TIMEOUT_S

    def do_OPTIONS(self) -> None:
        """A preflight request: may a page of that origin fetch from a local address?"""
        if self.refuse():
            return
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD")
        self.send_header("Access-Control-Allow-Private-Network", "true")
        self.end_headers()

    def do_HEAD(self) -> None:
        """The file's size."""
        self.answer(body=False)

    def do_GET(self) -> None:
        """The file."""
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        """Send the file, or its headers alone."""
        if self.refuse():
            return
        if urlsplit(self.path).path != self.server.location:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            descriptor = os.open(self.server.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.send_error(HTTPStatus.GONE)
            return
        with open(descriptor, "rb") as file:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if body:
                shutil.copyfileobj(file, self.wfile, 1 << 20)
                self.server.fetched()

    def refuse(self) -> bool:
        """Answer requests that are not the viewer's with 403; says whether it was one."""
        port = self.server.port
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.send_error(HTTPStatus.FORBIDDEN, "This host name is not served")
            return True
        if origin is not None and origin not in self.server.origins:
            self.send_error(HTTPStatus.FORBIDDEN, "This origin is not served")
            return True
        return False

    def end_headers(self) -> None:
        """Every answer may be read by Perfetto's UI and by nobody else."""
        self.send_header("Access-Control-Allow-Origin", UI)
        self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Vary", "Origin")
        super().end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing: requests are not worth a word."""
