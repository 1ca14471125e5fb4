"""The Performance panel of Chrome's DevTools: its own parser, in the page that Chromium carries."""

from __future__ import annotations

import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perfetto_ui import BROWSER_FLAGS, find_browser

PAGES = "/devtools/"
MODEL = "./models/trace/trace.js"
TYPES = "models/trace/types/types.js"
# Its lists of event names: members of an enumeration, and names that are compared.
NAMES = re.compile(r'[a-z]\.[A-Z0-9_]+="([^"]+)"|\.name===?"([^"]+)"')
METADATA = {"process_name", "thread_name"}

PARSE = """
async ([module, rows]) => {
    const {TraceModel} = await import(module);
    const model = TraceModel.Model.createWithAllHandlers();
    try {
        await model.parse(rows);
    } catch (error) {
        return String(error);
    }
    return model.size() === 1 ? null : "nothing was parsed";
}
"""


class DevTools:
    """The panel's model of a trace."""

    def __init__(self, base: str, page: Any, thread: ThreadPoolExecutor) -> None:
        self._base = base
        self._page = page
        self._thread = thread

    def parse(self, rows: list[dict[str, Any]]) -> str | None:
        """What the panel says to a file of these rows; None: it takes it."""
        script = self._thread.submit(self._page.evaluate, PARSE, [MODEL, rows])
        return script.result()

    def markers(self) -> set[str]:
        """The names of its own events."""
        with urllib.request.urlopen(self._base + TYPES, timeout=30) as response:
            text = response.read().decode()
        names = {one or other for one, other in NAMES.findall(text)}
        return {name for name in names if len(name) > 2} - METADATA


@contextmanager
def run_devtools(folder: Path) -> Iterator[DevTools]:
    """A headless Chromium with its DevTools open in a page."""
    browser = find_browser()
    assert browser is not None
    flags = [*BROWSER_FLAGS, "--headless=new", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [browser, *flags, f"--user-data-dir={folder}", "about:blank"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        port = next(
            int(found[1])
            for line in process.stderr
            if (found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line))
        )
        threading.Thread(target=process.stderr.read, daemon=True).start()  # the pipe must not fill
        with ThreadPoolExecutor(1, thread_name_prefix="devtools") as thread:
            playwright, page = thread.submit(_open, f"http://127.0.0.1:{port}").result()
            yield DevTools(f"http://127.0.0.1:{port}{PAGES}", page, thread)
            thread.submit(playwright.stop).result()
    finally:
        process.kill()
        process.wait()


def _open(origin: str) -> tuple[Any, Any]:
    from playwright.sync_api import sync_playwright

    playwright = sync_playwright().start()
    browser = playwright.chromium.connect_over_cdp(origin)
    page = browser.contexts[0].new_page()
    page.goto(f"{origin}{PAGES}devtools_app.html")
    return playwright, page
