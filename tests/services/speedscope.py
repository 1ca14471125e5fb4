"""Speedscope's own page in a real browser: its release from the npm registry, served on loopback.

The release is fetched once and kept beside what else the tests need, outside the checkout.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from perfetto_ui import Browser, UIServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

T = TypeVar("T")

VERSION = "1.25.0"
ADDRESS = f"https://registry.npmjs.org/speedscope/-/speedscope-{VERSION}.tgz"
# As the registry says in `dist.integrity`.
SHA512 = "cpf9HWTZf1ijLXBJrk87Ve/54tnYx6rlf0gUThvn3ook6h63hLXVOQiMf44PT+XoV503cPfvfiT5gP5vojp6Ag=="
RELEASE = Path("package", "dist", "release")
FETCH_TIMEOUT_S = 60
LOADED_OR_FAILED = """
() => document.body.innerText.includes("Symbol Name")
    || document.body.innerText.includes("Something went wrong")
"""
ROWS = """
() => Array.from(document.querySelectorAll("tr"),
                 (row) => Array.from(row.children, (cell) => cell.innerText.trim()))
"""
HEADS = ["Total", "Self", "Symbol Name"]
# Tall: the page draws only the rows that are in view.
VIEWPORT = {"width": 1400, "height": 8000}


class Speedscope:
    """Opens profiles in the page."""

    def __init__(self, server: UIServer, browser: Browser, thread: ThreadPoolExecutor) -> None:
        self._server = server
        self._browser = browser
        self._thread = thread

    def visit(self, profile: Path, act: Callable[[Page], T]) -> T:
        """Load a file, as the sandwich view shows it, and do something with the page.

        Fails when the page complains, raises, or does not take the file.
        """
        return self._thread.submit(self._visit, profile, act).result()

    def _visit(self, profile: Path, act: Callable[[Page], T]) -> T:
        complaints: list[str] = []
        page = self._browser.context.new_page()
        try:
            page.set_viewport_size(VIEWPORT)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(dialog.message))
            page.on(
                "console",
                lambda message: (
                    complaints.append(message.text) if message.type == "error" else None
                ),
            )
            url = quote(self._server.publish(profile), safe="")
            page.goto(f"{self._server.origin}/#profileURL={url}&view=sandwich")
            page.wait_for_function(LOADED_OR_FAILED)
            assert "Something went wrong" not in page.inner_text("body"), complaints
            result = act(page)
            assert complaints == []
            return result
        finally:
            page.close()


def rows_of(page: Page) -> dict[str, tuple[str, str]]:
    """The sandwich view's table: name to total and self time, as they are written."""
    rows = page.evaluate(ROWS)  # before the heads: the list of profiles
    return {name: (total, own) for total, own, name in rows[rows.index(HEADS) + 1 :]}


def find_release() -> Path:
    """The folder of the page. Raises OSError when it is neither here nor to be had."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otrace-ci"
    cache = Path(os.environ.get("OTRACE_CACHE") or caches)
    folder = cache / f"speedscope-{VERSION}"
    if not folder.is_dir():
        with urllib.request.urlopen(ADDRESS, timeout=FETCH_TIMEOUT_S) as answer:
            packed = answer.read()
        digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
        if digest != SHA512:
            raise OSError(f"{ADDRESS} is not what it was: sha512 {digest}")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as partial:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(partial, filter="data")
            if not folder.is_dir():  # nobody else was faster
                shutil.move(Path(partial) / RELEASE, folder)
    return folder


def missing_part() -> str | None:
    """What keeps the page from being used here, in words; None when everything is there."""
    try:
        find_release()
    except OSError as error:
        return f"speedscope's page cannot be fetched from {ADDRESS}: {error}"
    return None


@contextmanager
def run_speedscope() -> Iterator[Speedscope]:
    """A served page and a headless browser, both gone afterwards."""
    with UIServer(find_release()) as server:
        serving = threading.Thread(target=server.serve_forever, name="speedscope", daemon=True)
        serving.start()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="speedscope") as thread:
                browser = thread.submit(Browser, server.origin).result()
                try:
                    yield Speedscope(server, browser, thread)
                finally:
                    thread.submit(browser.close).result()
        finally:
            server.shutdown()
            serving.join()
