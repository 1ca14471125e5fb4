"""The report's page of real recordings, in a real browser."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from odd_programs import DEEP, MANY

PROGRAM = """
import threading, time
import otrace

def fails(n):
    if n % 2:
        raise ValueError(n)

def slow():
    time.sleep(0.05)

def work():
    for n in range(10):
        otrace.log_counter("queue", waiting=n, done=2 * n)
        otrace.log_counter("rate <b>", value=n / 3)
        try:
            fails(n)
        except ValueError:
            pass
    slow()

thread = threading.Thread(target=work, name="</script><script>alert(1)</script>")
thread.start()
thread.join()
work()
"""
HOSTILE = """
def make(name):
    code = (lambda: None).__code__.replace(co_name=name, co_qualname=name)
    return type(make)(code, globals())
for name in ["</script><script>alert(1)</script>", "<!--", "\\u2028", "\\ud800", "a'b\\"c&amp;"]:
    make(name)()
"""


def exported(folder, program, *names, options=()):
    """Record a program and export it; returns the pages, and one that compares it with itself."""
    (folder / "app.py").write_text(program)
    targets = [folder / f"app.{name}.html" for name in names]
    exports = [f"--export={name}={target}" for name, target in zip(names, targets, strict=True)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTRACE_")}
    for words in (
        ("run", "-q", *options, *exports, "-o", "app.otrace", "app.py"),
        ("diff", "app.otrace", "app.otrace", "-o", "changes.html"),
    ):
        subprocess.run(
            [sys.executable, "-m", "otrace", *words],
            cwd=folder,
            env={**environment, "TMPDIR": str(folder)},
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )
    return [*targets, folder / "changes.html"]


def cells(page, table):
    script = "(all) => all.map((row) => Array.from(row.cells, (cell) => cell.textContent.trim()))"
    return page.locator(f"{table} tbody tr").evaluate_all(script)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    page, _ = exported(tmp_path_factory.mktemp("report"), PROGRAM, "report")
    return page


def test_what_a_report_says(report, pages):
    def act(page):
        assert page.title() == "app.py - report"
        tiles = dict(tile.split("\n") for tile in page.locator(".tiles div").all_inner_texts())
        assert (tiles["Processes"], tiles["Threads"]) == ("1", "2")
        (fails,) = [row for row in cells(page, "#exceptions-part") if "fails" in row[1]]
        known = sys.version_info >= (3, 12)
        assert (fails[0], fails[2]) == ("ValueError" if known else "(not known)", "10")
        (slow,) = [row for row in cells(page, "#functions") if "__main__.slow" in row[0]]
        assert slow[3] == "2"
        assert float(slow[2].removesuffix(" ms")) >= 100
        assert page.locator(".timeline [role=rowheader]").count() == 2
        plots = page.locator("figure.plot figcaption").all_inner_texts()
        assert [" ".join(plot.split()) for plot in plots] == [
            "queue waiting 9 done 18",
            "rate <b> value 3",
        ]
        path = page.locator("figure.plot path").first.get_attribute("d")
        assert path.count("V") == 19  # 20 values, of both threads
        assert "Nothing is missing" in page.inner_text("#losses-part")

    pages.visit(report, act)


def test_the_table_of_functions(report, pages):
    def act(page):
        shown = "#functions tbody tr:visible"
        assert page.locator(shown).count() == 20
        page.click("th[data-sort=calls] button")
        calls = [int(row[3].replace(",", "")) for row in cells(page, "#functions")]
        assert calls == sorted(calls, reverse=True)
        page.click("th[data-sort=calls] button")
        assert page.get_attribute("th[data-sort=calls]", "aria-sort") == "ascending"
        page.click("button.more")
        assert page.locator(shown).count() == len(calls)
        page.click("th[data-sort=name] button")
        names = [row[0] for row in cells(page, "#functions")]
        assert names == sorted(names)

    pages.visit(report, act)


def test_slow_calls_open_their_stacks(report, pages):
    def act(page):
        first = page.locator("ol.slowest > li", has_text="time.sleep").first
        frames = first.locator("li")
        assert not frames.first.is_visible()
        first.locator("summary").press("Enter")
        assert frames.last.is_visible()
        assert "time.sleep" in frames.last.inner_text()
        link = first.locator("a", has_text="app.py").first.get_attribute("href")
        assert link.startswith("vscode://file/")
        assert link.endswith(tuple(f"app.py:{line}" for line in range(1, 30)))

    pages.visit(report, act)


def test_the_flamegraph_inside(report, pages):
    def act(page):
        page.locator("#stage").scroll_into_view_if_needed()
        page.focus("#stage canvas")
        page.keyboard.press("ArrowDown")
        assert "Calls" in page.inner_text("#chosen")
        page.keyboard.press("Enter")
        assert page.is_enabled("#out")
        page.click("#self")
        assert page.is_disabled("#out")
        page.fill("#search", "slow")
        page.select_option("#scope", index=2)
        assert (
            "</script><script>alert(1)</script>" in page.locator("#scope option").all_inner_texts()
        )

    pages.visit(report, act, scheme="dark")


def test_a_narrow_window(report, pages):
    def act(page):
        page.set_viewport_size({"width": 360, "height": 700})
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0
        assert page.locator(".timeline [role=rowheader]").all_inner_texts()[0] == "MainThread"

    pages.visit(report, act)


@pytest.mark.parametrize(
    ("program", "found"),
    [
        (HOSTILE, "alert(1)"),
        (DEEP, "recurse"),
        (MANY, "function_5"),
    ],
    ids=["hostile names", "recursion 900 deep", "100,000 functions"],
)
def test_odd_programs(tmp_path, pages, program, found):
    paths = exported(tmp_path, program, "report", "flamegraph")

    def act(page):
        page.fill("#search", found)
        page.focus("#stage canvas")
        for key in ("Enter", "s", "Home", "i", "Escape"):
            page.keyboard.press(key)
        assert "\ufffd" not in page.inner_text("body")

    for path in paths:
        pages.visit(path, act)


def test_nothing_recorded(tmp_path, pages):
    paths = exported(tmp_path, "", "report", "flamegraph", options=["--include", "nothing*"])
    for path in paths:
        pages.visit(path, lambda page: page.wait_for_selector("text=No calls were recorded"))
