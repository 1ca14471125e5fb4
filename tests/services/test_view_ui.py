"""`otrace view` with the real Perfetto UI: served from here, and as the public one.

The public UI is played by the same files: the browser is given them for https://ui.perfetto.dev.
"""

from __future__ import annotations

import json
import mimetypes
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import perfetto_ui
import pytest

from otrace.view.items import Library
from otrace.view.server import ViewServer
from otrace.view.ui import ONLINE, LocalUi, files_below

QUERY = """
async () => {
    const result = await window.app.trace.engine.query(
        "select name, extract_arg(arg_set_id, 'args.file') as file from slice order by name");
    const rows = [];
    for (const it = result.iter({}); it.valid(); it.next()) {
        rows.push([it.get("name"), it.get("file")]);
    }
    return rows;
}
"""
LOADED = "() => window.app && window.app.trace && !window.app.isLoadingTrace"
ROWS = [
    {"ph": "X", "pid": 1, "tid": 1, "ts": 1 + n, "dur": 1, "name": name, "args": {"file": "/a.py"}}
    for n, name in enumerate(("alpha", "beta"))
]


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "shown" / "a & b #1 100%.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"traceEvents": ROWS}))
    return path


@contextmanager
def serving(path, folder, **arguments):
    with ViewServer(Library(str(path), str(folder)), port=0, **arguments) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def in_browser(act):
    """Call act(context) with a browser, in a thread of its own."""

    def drive():
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=perfetto_ui.find_browser(),
                headless=True,
                args=list(perfetto_ui.BROWSER_FLAGS),
            )
            try:
                return act(browser.new_context())
            finally:
                browser.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(drive).result()


def test_a_ui_from_here_talks_to_nobody_else(trace, tmp_path, ui_folder):
    def act(context):
        answered = []
        context.on("requestfinished", lambda request: answered.append(request.url))
        page = context.new_page()
        page.goto(f"{server.origin}/list")
        page.click("text=a & b #1")
        page.wait_for_function(LOADED, timeout=perfetto_ui.LOAD_TIMEOUT_MS)
        return page.evaluate(QUERY), answered

    with serving(trace.parent, tmp_path, ui=LocalUi(str(ui_folder))) as server:
        names, answered = in_browser(act)
    assert names == [["alpha", "/a.py"], ["beta", "/a.py"]]
    own = (server.origin, "data:", "blob:")
    assert [url for url in answered if not url.startswith(own)] == []
    assert f"{server.origin}/trace/a%20%26%20b%20%231%20100%25.json" in answered


def test_the_public_ui_is_handed_the_trace(trace, tmp_path, ui_folder):
    files = dict(files_below(str(ui_folder)))

    def public(route, request):
        path = urlsplit(request.url).path
        file = files.get("/index.html" if path == "/" else path)
        if file is None:
            route.abort()
        else:
            kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
            route.fulfill(body=Path(file).read_bytes(), content_type=kind)

    def act(context):
        context.route(f"{ONLINE}/**", public)
        page = context.new_page()
        page.goto(server.start_url)  # a browser keeps windows back that nobody asked for
        with context.expect_page() as opened:
            page.click("#open")
        ui = opened.value
        ui.wait_for_function(LOADED, timeout=perfetto_ui.LOAD_TIMEOUT_MS)
        assert "open in the other window" in page.inner_text("#said")
        return ui.url, ui.evaluate(QUERY)

    with serving(trace, tmp_path) as server:
        url, names = in_browser(act)
    assert url.startswith(f"{ONLINE}/")
    assert names == [["alpha", "/a.py"], ["beta", "/a.py"]]


def test_a_foreign_page_gets_nothing(trace, tmp_path, ui_folder):
    def act(context):
        context.route(
            "https://evil.example/**",
            lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"),
        )
        page = context.new_page()
        page.goto("https://evil.example/")
        return page.evaluate(
            """async (url) => {
                const said = [];
                for (const mode of ["cors", "no-cors"]) {
                    try {
                        const response = await fetch(url, {mode});
                        said.push(response.type + response.status + (await response.text()).length);
                    } catch (error) {
                        said.push("refused");
                    }
                }
                return said;
            }""",
            server.trace_url(server.library.items()[0]),
        )

    with serving(trace, tmp_path) as server:
        assert set(in_browser(act)) <= {"refused", "opaque00"}


PROGRAM = """
def twice(n):
    # doubles <b>
    return 2 * n

for i in range(3):
    twice(i)
"""


def test_a_slice_shows_its_source(tmp_path, perfetto):
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTRACE_")}
    words = [sys.executable, "-m", "otrace", "run", "-q", "-o", "app.otrace", "app.py"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, timeout=60)
    found = {}
    for with_source in (False, True):
        (tmp_path / "converted").mkdir(exist_ok=True)
        library = Library(
            str(tmp_path / "app.otrace"), str(tmp_path / "converted"), with_source=with_source
        )
        with perfetto.open(library.trace_of(library.items()[0])) as trace:
            assert trace.stats() == {}
            found[with_source] = trace.query(
                "select key, display_value as text, count(*) as number from slice"
                " join args using (arg_set_id) where name = '__main__.twice'"
                " and key like 'source.%' and text is not null group by 1, 2 order by 1"
            )
    file = {"key": "source.file_name", "text": str(program), "number": 3}
    line = {"key": "source.line_number", "text": "2", "number": 3}
    body = "def twice(n):\n    # doubles <b>\n    return 2 * n\n"
    text = {"key": "source.function_name", "text": body, "number": 3}
    assert found == {False: [file, line], True: [file, text, line]}
