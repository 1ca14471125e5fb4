"""Self-contained pages in a real browser: nothing may be asked of the network, nothing may fail.

The browser is driven from a thread of its own, as in perfetto_ui.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from perfetto_ui import BROWSER_FLAGS, find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

T = TypeVar("T")
READY = "html[data-ready]"


class Pages:
    """Opens files in Chromium."""

    def __init__(self, browser: Any, thread: ThreadPoolExecutor) -> None:
        self._browser = browser
        self._thread = thread

    def visit(self, path: Path, act: Callable[[Page], T], *, scheme: str = "light") -> T:
        """Open a page, wait until it is ready, and do something with it.

        Fails when the page complains, raises, or asks for anything but itself.
        """
        return self._thread.submit(self._visit, path, act, scheme).result()

    def _visit(self, path: Path, act: Callable[[Page], T], scheme: str) -> T:
        context = self._browser.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme=scheme
        )
        complaints: list[str] = []
        requests: list[str] = []
        try:
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri())
            page.wait_for_selector(READY, state="attached")
            result = act(page)
            page.evaluate("() => new Promise(requestAnimationFrame)")
            assert complaints == []
            others = [url for url in requests if not url.startswith(("data:", path.as_uri()))]
            assert others == []
            return result
        finally:
            context.close()


@contextmanager
def run_pages() -> Iterator[Pages]:
    """A headless browser, gone afterwards."""

    def start() -> tuple[Any, Any]:
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        browser = playwright.chromium.launch(
            executable_path=find_browser(), headless=True, args=list(BROWSER_FLAGS)
        )
        return playwright, browser

    with ThreadPoolExecutor(1, thread_name_prefix="pages") as thread:
        playwright, browser = thread.submit(start).result()
        try:
            yield Pages(browser, thread)
        finally:
            thread.submit(browser.close).result()
            thread.submit(playwright.stop).result()
