"""The flamegraph's page in a real browser, as a person uses it."""

from __future__ import annotations

import random
import re

import pytest

from otrace_exporters.flamegraph.page import Words, flamegraph
from otrace_exporters.flamegraph.trees import (
    LIBRARY,
    OWN,
    C,
    Columns,
    FunctionTable,
    Key,
    narrow,
)

MS = 1_000_000
ROW = 19
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"quoted' & <b>bold</b>",
    "line\u2028separator\u2029here",
    "lone \ud800 surrogate \udfff",
    "]]>\0\x1b[31m",
    "{path}$title${title}`${alert(1)}`",
]


class Graph:
    """Builds trees from nested calls: {name: (self_ns, calls, {inner})}."""

    def __init__(self):
        self.functions = FunctionTable()
        self.trees = []

    def function(self, name, group=OWN):
        module, _, _ = name.rpartition(".")
        file = "" if group == C else f"/app/{module or 'main'}.py"
        return self.functions.add(Key(name, len(module) + 1 if module else 0, file, 7, group))

    def thread(self, name, calls, process="app.py (pid 1)"):
        tree = Columns(process, name)
        self._add(tree, 0, calls)
        self.trees.append(tree)

    def _add(self, tree, parent, calls):
        for name, (own, count, inner) in calls.items():
            self._add(tree, tree.add(parent, self.function(name), own, count), inner)

    def write(self, folder, notes=()):
        path = folder / "page.html"
        words = Words("app.py", ["1.00 s"], notes)
        path.write_bytes(flamegraph(words, self.trees, self.functions))
        return path


@pytest.fixture
def graph():
    """main: 100 ms, of which a 60 (40 in b) and c 30."""
    graph = Graph()
    inner = {
        "work.a": (20 * MS, 2, {"work.b": (40 * MS, 400, {})}),
        "work.c": (30 * MS, 1, {}),
    }
    graph.thread("MainThread", {"app.main": (10 * MS, 1, inner)})
    graph.thread("worker", {"app.run": (5 * MS, 1, {"work.b": (15 * MS, 100, {})})})
    return graph


def chosen(page):
    facts = page.locator("#chosen-facts div").all_inner_texts()
    return page.inner_text("#chosen-name"), dict(fact.split("\n") for fact in facts)


def click(page, level, x):
    """Click the graph at a level, counted from the root at the bottom, and a share of the width."""
    box = page.locator("canvas").bounding_box()
    y = box["y"] + box["height"] - (level + 0.5) * ROW
    page.mouse.click(box["x"] + x * box["width"], y)


def rows(page):
    cells = "(all) => all.map((row) => Array.from(row.cells, (cell) => cell.textContent))"
    return page.locator("#functions tr").evaluate_all(cells)


def test_it_says_what_there_is(graph, pages, tmp_path):
    def act(page):
        assert page.title() == "app.py - flamegraph"
        assert page.inner_text("h1") == "app.py"
        assert page.inner_text(".notes") == "3 calls lost"
        assert chosen(page) == ("app.py", {"Total": "120 ms · 100.0%", "Self": "0 ns · 0.00%"})
        assert rows(page)[0] == ["b work", "55.0 ms", "55.0 ms", "500"]
        assert {row[0] for row in rows(page)} == {
            "main app",
            "a work",
            "b work",
            "c work",
            "run app",
        }
        assert page.locator("#scope option").all_inner_texts() == [
            "All 2 threads, merged",
            "MainThread",
            "worker",
        ]

    pages.visit(graph.write(tmp_path, ["3 calls lost"]), act)


def test_tasks_are_shown_alone(graph, pages, tmp_path):
    """Threads have what tasks did, too: merged, it counts once."""
    graph.thread("job 1: work.c", {"work.c": (30 * MS, 1, {})})
    graph.thread("work.b", {"work.b": (8 * MS, 300, {})})
    graph.trees[-2].tasks, graph.trees[-1].tasks = 1, 12

    def act(page):
        assert page.locator("#scope optgroup").evaluate_all("(all) => all.map(g => g.label)") == [
            "Tasks"
        ]
        assert page.locator("#scope option").all_inner_texts() == [
            "All 2 threads, merged",
            "MainThread",
            "worker",
            "job 1: work.c",
            "work.b (12 tasks)",
        ]
        assert chosen(page)[1]["Total"] == "120 ms · 100.0%"
        page.select_option("#scope", label="job 1: work.c")
        assert rows(page) == [["c work", "30.0 ms", "30.0 ms", "1"]]
        page.keyboard.press("s")
        page.select_option("#scope", label="work.b (12 tasks)")
        assert rows(page) == [["b work", "8.00 ms", "8.00 ms", "300"]]

    pages.visit(graph.write(tmp_path), act)


def test_clicks_choose_and_zoom(graph, pages, tmp_path):
    def act(page):
        page.select_option("#scope", label="MainThread")
        click(page, 2, 0.1)
        name, facts = chosen(page)
        assert name == "work.a"
        assert facts == {
            "Total": "60.0 ms · 60.0%",
            "Self": "20.0 ms · 20.0%",
            "Calls": "2",
            "Mean": "30.0 ms",
        }
        assert page.locator("#path li").all_inner_texts() == ["app.py", "main", "a"]
        click(page, 3, 0.6)  # now two thirds of the width
        assert chosen(page)[0] == "work.b"
        page.click("#path li:nth-child(2) button")
        click(page, 2, 0.7)
        assert chosen(page)[0] == "work.c"
        page.click("#out")
        assert page.locator("#path li").all_inner_texts() == ["app.py"]
        assert page.is_disabled("#out")

    pages.visit(graph.write(tmp_path), act)


def test_the_keyboard(graph, pages, tmp_path):
    def act(page):
        page.select_option("#scope", label="MainThread")
        page.focus("canvas")
        seen = []
        for key in ("ArrowUp", "ArrowUp", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
            page.keyboard.press(key)
            seen.append(chosen(page)[0])
        assert seen == ["app.main", "work.a", "work.c", "work.a", "work.b", "work.a"]
        page.keyboard.press("Enter")
        assert page.locator("#path li").all_inner_texts() == ["app.py", "main", "a"]
        page.keyboard.press("Backspace")
        assert page.locator("#path li").all_inner_texts() == ["app.py", "main"]
        page.keyboard.press("Escape")
        assert page.locator("#path li").all_inner_texts() == ["app.py"]
        page.keyboard.press("i")
        assert page.get_attribute("#icicle", "aria-pressed") == "true"
        page.keyboard.press("Home")
        page.keyboard.press("ArrowDown")  # the other way round now
        assert chosen(page)[0] == "app.main"
        page.keyboard.press("?")
        assert page.is_visible("#help-dialog")
        page.keyboard.press("Escape")
        assert page.is_hidden("#help-dialog")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"

    pages.visit(graph.write(tmp_path), act)


def test_search(graph, pages, tmp_path):
    def act(page):
        page.fill("#search", "WORK.B")
        assert page.inner_text("#found") == "45.8%"
        assert [row[0] for row in rows(page)] == ["b work"]
        page.press("#search", "Enter")
        assert chosen(page)[1]["Calls"] == "400"
        page.press("#search", "Enter")
        assert chosen(page)[1]["Calls"] == "100"
        page.press("#search", "Shift+Enter")
        assert chosen(page)[1]["Calls"] == "400"
        page.fill("#search", "/app/work.py")
        assert page.inner_text("#found") == "87.5%"
        page.fill("#search", "nothing")
        assert page.inner_text("#found") == "0.00%"
        assert "No function matches." in page.inner_text("#functions-note")
        page.press("#search", "Escape")
        assert page.inner_text("#found") == ""
        assert len(rows(page)) == 5

    pages.visit(graph.write(tmp_path), act)


def test_self_time_is_upside_down(graph, pages, tmp_path):
    def act(page):
        page.keyboard.press("s")
        assert page.get_attribute("#self", "aria-pressed") == "true"
        click(page, 1, 0.1)
        name, facts = chosen(page)
        assert (name, facts["Total"], facts["Calls"]) == ("work.b", "55.0 ms · 45.8%", "500")
        click(page, 2, 0.9)  # of the callers of work.b, the one with less
        assert chosen(page)[0] == "app.run"

    pages.visit(graph.write(tmp_path), act)


def test_hover_tells_the_numbers(graph, pages, tmp_path):
    def act(page):
        page.select_option("#scope", label="MainThread")
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + box["height"] - 2.5 * ROW)
        text = page.inner_text(".tip")
        assert text.splitlines()[:2] == ["work.a", "/app/work.py:7"]
        assert "60.0 ms · 60.0%" in text
        page.mouse.move(box["x"] + 100, box["y"] + 5)
        assert page.is_hidden(".tip")

    pages.visit(graph.write(tmp_path), act)


def test_the_list_sorts_and_leads_to_frames(graph, pages, tmp_path):
    def act(page):
        page.click("th[data-sort=total] button")
        assert rows(page)[0][:3] == ["main app", "10.0 ms", "100 ms"]
        assert page.get_attribute("th[data-sort=total]", "aria-sort") == "descending"
        page.click("th[data-sort=name] button")
        assert [row[0] for row in rows(page)][:2] == ["main app", "run app"]
        page.click("#functions tr:nth-child(2) button")
        assert chosen(page)[0] == "app.run"
        assert page.locator("#functions tr[aria-selected=true]").count() == 1

    pages.visit(graph.write(tmp_path), act)


def test_links_open_the_editor(graph, pages, tmp_path):
    def act(page):
        page.click("#functions tr:nth-child(1) button")
        assert page.get_attribute("#chosen-where a", "href") == "vscode://file/app/work.py:7"
        found = []
        for link in ("pycharm", "myeditor://x?f={path}&l={line}", "javascript:alert('{path}')"):
            page.click("#settings")
            if link == "pycharm":
                page.select_option("#editor", "pycharm")
            else:
                page.fill("#editor-link", link)
            page.click("#settings-dialog button[value=save]")
            anchor = page.locator("#chosen-where a")
            found.append(anchor.get_attribute("href") if anchor.count() else None)
        assert found == [
            "pycharm://open?file=/app/work.py&line=7",
            "myeditor://x?f=/app/work.py&l=7",
            None,
        ]

    pages.visit(graph.write(tmp_path), act)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme(graph, pages, tmp_path, scheme):
    ground = "() => getComputedStyle(document.body).backgroundColor"

    def act(page):
        colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 27)"}
        assert page.evaluate(ground) == colours[scheme]
        seen = []
        for _ in range(3):
            page.click("#theme")
            seen.append(page.evaluate(ground))
        assert seen == [colours["light"], colours["dark"], colours[scheme]]
        page.click("#theme")
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.evaluate(ground) == colours["light"]  # it is kept

    pages.visit(graph.write(tmp_path), act, scheme=scheme)


@pytest.mark.parametrize("size", [(360, 760), (720, 420)], ids=["narrow", "zoomed"])
def test_small_windows(graph, pages, tmp_path, size):
    """All of the page can be reached: with 200 % zoom, a window has half as many pixels."""
    width, height = size

    def act(page):
        page.set_viewport_size({"width": width, "height": height})
        page.click("#functions tr:nth-child(1) button")
        root = "document.documentElement"
        assert page.evaluate(f"() => {root}.scrollWidth - {root}.clientWidth") == 0
        facts = page.locator("#chosen-facts")
        facts.scroll_into_view_if_needed()
        box = facts.bounding_box()
        assert box["y"] + box["height"] <= height
        assert box["x"] + box["width"] <= width
        assert page.locator("canvas").bounding_box()["height"] > 100

    pages.visit(graph.write(tmp_path), act)


def test_hostile_names(pages, tmp_path):
    graph = Graph()
    inner = {}
    for name in HOSTILE:
        inner = {name: (MS, 1, inner)}
    graph.thread("<img src=x onerror=alert(1)>", inner, process="</script>")
    graph.thread("\ud800", inner, process="\u2028")

    def act(page):
        page.fill("#search", "alert(1)")
        page.press("#search", "Enter")
        assert page.inner_text("#chosen-name") == HOSTILE[6]
        names = page.locator("#functions button").evaluate_all("(all) => all.map(b => b.title)")
        assert sorted(names) == sorted([HOSTILE[0], HOSTILE[6]])
        page.fill("#search", "lone")
        assert page.locator("#functions button").get_attribute("title") == (
            "lone \\ud800 surrogate \\udfff"
        )
        labels = page.locator("#scope optgroup").evaluate_all("(all) => all.map(g => g.label)")
        assert labels == ["</script>", "\u2028"]

    path = graph.write(tmp_path, notes=["<script>alert(2)</script> \ud800"])
    assert path.read_bytes().count(b"</script>") == 3  # its own: two of data, one of code
    pages.visit(path, act)


def test_an_empty_recording(pages, tmp_path):
    def act(page):
        assert "No calls were recorded" in page.inner_text("#stage")
        for key in ("ArrowUp", "Enter", "s", "i", "n", "Escape"):
            page.keyboard.press(key)
        assert chosen(page)[0] == "app.py"

    pages.visit(Graph().write(tmp_path), act)


def test_recursion_900_deep(pages, tmp_path):
    graph = Graph()
    tree = Columns("", "MainThread")
    number = graph.function("app.recurse")
    row = 0
    for _ in range(900):
        row = tree.add(row, number, MS, 1)
    graph.trees.append(tree)

    def act(page):
        assert rows(page) == [["recurse app", "900 ms", "900 ms", "900"]]
        page.focus("canvas")
        for _ in range(30):
            page.keyboard.press("ArrowUp")
        assert chosen(page)[1]["Total"] == "871 ms · 96.8%"
        page.evaluate("() => document.getElementById('stage').scrollTop = 0")
        page.wait_for_timeout(50)
        box = page.locator("canvas").bounding_box()
        page.mouse.click(box["x"] + 0.5, box["y"] + 5)  # a pixel wide
        assert chosen(page)[1]["Total"] == "1.00 ms · 0.11%"
        page.keyboard.press("s")
        assert page.inner_text("#chosen-name") == "app.py"

    pages.visit(graph.write(tmp_path), act)


def test_100_000_functions(pages, tmp_path):
    graph = Graph()
    tree = Columns("", "MainThread")
    main = tree.add(0, graph.function("app.main"), 0, 1)
    for number in range(100_000):
        tree.add(main, graph.function(f"app.function_{number}"), 1000 + number, 1)
    graph.trees.append(tree)

    def act(page):
        assert len(rows(page)) == 200
        assert "200 of 100,001 functions" in page.inner_text("#functions-note")
        page.fill("#search", "function_31337")
        page.press("#search", "Enter")
        assert chosen(page)[0] == "app.function_31337"
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        assert page.locator("#path li").all_inner_texts()[-1] == "function_31337"

    pages.visit(graph.write(tmp_path), act)


def test_20_000_stacks(pages, tmp_path):
    graph = Graph()
    chance = random.Random(1)
    numbers = [
        graph.function(f"package.module_{i % 40}.function_{i}", LIBRARY) for i in range(2000)
    ]
    tree = Columns("", "MainThread")
    known = {}
    for _ in range(20_000):
        row = 0
        for depth in range(chance.randint(4, 25)):
            number = numbers[chance.randrange(4 if depth < 6 else len(numbers))]
            key = row, number
            if key not in known:
                known[key] = tree.add(row, number, chance.randrange(1, 10**6), chance.randrange(99))
            row = known[key]
    graph.trees.append(tree)
    before = len(tree)
    left_out = narrow(graph.trees, graph.functions)
    assert before - left_out == len(tree) <= 250_000

    def act(page):
        page.fill("#search", "function_1 ")
        page.fill("#search", "function_7")
        assert re.fullmatch(r"[0-9.]+%", page.inner_text("#found"))
        page.keyboard.press("Enter")
        assert "function_7" in chosen(page)[0]

    path = graph.write(tmp_path)
    assert path.stat().st_size < 5_000_000
    pages.visit(path, act)


def test_a_comparison(pages, tmp_path):
    graph = Graph()
    tree = Columns("", "all threads")
    main = tree.add(0, graph.function("app.main"), 10 * MS, 1, 10 * MS, 1)
    tree.add(main, graph.function("app.slower"), 60 * MS, 9, 20 * MS, 3)
    tree.add(main, graph.function("app.new"), 30 * MS, 1, 0, 0)
    tree.add(main, graph.function("app.gone"), 0, 0, 40 * MS, 5)
    graph.trees.append(tree)

    def act(page):
        assert rows(page) == [
            ["slower app", "+40.0 ms", "60.0 ms", "9"],
            ["gone app", "−40.0 ms", "0 ns", "0"],  # noqa: RUF001
            ["new app", "+30.0 ms", "30.0 ms", "1"],
            ["main app", "±0 ns", "10.0 ms", "1"],
        ]
        click(page, 2, 0.2)
        name, facts = chosen(page)
        assert (name, facts["Before"], facts["Change"]) == ("app.slower", "20.0 ms", "+40.0 ms")
        page.click("#before")
        click(page, 2, 0.2)
        name, facts = chosen(page)
        assert (name, facts["Before"], facts["Calls before"]) == ("app.gone", "40.0 ms", "5")
        assert "slower" in page.inner_text(".legend")

    pages.visit(graph.write(tmp_path), act)
