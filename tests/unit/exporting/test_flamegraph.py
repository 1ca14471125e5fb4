"""The data of the flamegraph's page: trees of recordings, what is narrowed, what is escaped."""

import base64
import json
import re
import struct
import zlib

import pytest
from click.testing import CliRunner
from unit.recording import synth

from otrace.cli import diff
from otrace.cli.outputs import is_trace
from otrace.exporting import export
from otrace.profile import Profile
from otrace.recording import Recording
from otrace_exporters.flamegraph import document
from otrace_exporters.flamegraph.exporter import write_diff
from otrace_exporters.flamegraph.trees import (
    LEFT_OUT,
    LIBRARY,
    OWN,
    STDLIB,
    C,
    Columns,
    FunctionTable,
    Key,
    compared,
    group_of,
    narrow,
    totals,
    trees_of,
    used_only,
)


def recording(folder, *calls, pid=100):
    """A recording of nested calls: (name id, begin, end), by begin."""
    segment = synth.Segment(pid=pid)
    for number, name in enumerate(("main", "work", "</script>"), 1):
        segment.name(number, name, "app", "/app/app.py", number)
    segment.name(4, "len", "builtins", kind=synth.C)
    segment.process_name("app.py")
    thread = segment.thread("MainThread")
    edges = [(begin, 1, name) for name, begin, _ in calls]
    edges += [(end, 0, name) for name, _, end in calls]
    for at, begins, name in sorted(edges):
        (thread.begin if begins else thread.end)(name, at)
    return Recording.open(segment.write(folder).parent)


CALLS = [(1, 0, 1000), (2, 100, 400), (3, 200, 300), (2, 500, 600)]


def paths(tree, functions):
    """{path of names: (self, calls, …)}"""
    found = {}
    names = [""]
    for row, parent in enumerate(tree.parent):
        names.append(f"{names[parent]}/{functions.keys[tree.func[row]].name}")
        found[names[-1]] = tuple(column[row] for column in tree.values() if column)
    return found


def test_trees_of_a_profile(tmp_path):
    functions = FunctionTable()
    (tree,) = trees_of(Profile.of(recording(tmp_path, *CALLS)), functions)
    assert (tree.process, tree.name) == ("app.py (pid 100)", "MainThread")
    assert paths(tree, functions) == {
        "/app.main": (600, 1),
        "/app.main/app.work": (300, 2),
        "/app.main/app.work/app.</script>": (100, 1),
    }
    assert totals(tree.parent, tree.self_ns) == [1000, 400, 100]
    key = functions.keys[tree.func[1]]
    assert key == Key("app.work", 4, "/app/app.py", 2, OWN)


def test_a_comparison_knows_functions_by_name(tmp_path):
    before = Profile.of(recording(tmp_path / "a", *CALLS))
    after = Profile.of(recording(tmp_path / "b", (1, 0, 500), (2, 100, 200), (1, 600, 700)))
    functions = FunctionTable()
    tree = compared(before, after, functions)
    assert paths(tree, functions) == {
        "/app.main": (500, 2, 600, 1),
        "/app.main/app.work": (100, 1, 300, 2),
        "/app.main/app.work/app.</script>": (0, 0, 100, 1),
    }
    assert tree.weights() == [1000, 400, 100]
    write_diff(str(tmp_path / "x.html"), before, after)
    data = page_data((tmp_path / "x.html").read_text())
    assert data["compared"] is True
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "y.html")]
    done = CliRunner().invoke(diff.command, words)
    assert done.exit_code == 0, done.output
    again = page_data((tmp_path / "y.html").read_text())
    assert again["functions"] == data["functions"]


@pytest.mark.parametrize("with_before", [False, True])
def test_narrow_paths_are_added_up(with_before):
    functions = FunctionTable()
    number = functions.add(Key("f", 0, "", 0, OWN))
    tree = Columns("", "")
    before = (7, 1) if with_before else ()
    wide = tree.add(0, number, 1_000_000, 1, *before)
    for own in (500_000, 3, 4, 5):
        child = tree.add(wide, number, own, 1, *before)
        tree.add(child, number, 1, 1, *before)
    total, was = sum(tree.self_ns), sum(tree.self_before)
    assert narrow([tree], functions, most=100) == 0
    assert narrow([tree], functions, most=4) == 5
    assert sum(tree.self_ns) == total
    assert sum(tree.self_before) == was
    assert paths(tree, functions)[f"/f/{LEFT_OUT}"][:2] == (15, 6)
    assert [functions.keys[number].name for number in tree.func] == ["f", "f", LEFT_OUT, LEFT_OUT]
    assert used_only([tree], functions).keys == functions.keys


@pytest.mark.parametrize(
    ("kind", "file", "group"),
    [
        ("c", "", C),
        ("python", "/app/x.py", OWN),
        ("python", "/v/lib/python3.13/site-packages/x.py", LIBRARY),
        ("python", "/usr/lib/python3.13/json/__init__.py", STDLIB),
        ("python", "<frozen importlib._bootstrap>", STDLIB),
        ("python", "<string>", OWN),
    ],
)
def test_whose_code_it_is(kind, file, group):
    assert group_of(kind, file) == group


def page_data(text):
    (data,) = re.findall(r'<script type="application/json" id="page">(.*?)</script>', text)
    return json.loads(data)


def test_the_exported_page(tmp_path):
    target = tmp_path / "app.html"
    result = export(recording(tmp_path, *CALLS), target)
    assert (result.calls, result.bytes) == (4, target.stat().st_size)
    text = target.read_text()
    assert is_trace(str(target))  # a second export may replace it
    data = page_data(text)
    assert data["functions"]["name"] == ["app.main", "app.work", "app.</script>"]
    track = {"process": "app.py (pid 100)", "name": "MainThread", "tasks": 0, "rows": 3}
    assert data["tracks"] == [track]
    (packed,) = re.findall(r'<script type="text/plain" id="trees">(.*?)</script>', text)
    words = zlib.decompress(base64.b64decode(packed))
    numbers = struct.unpack(f"<{len(words) // 4}I", words)
    assert numbers == (1, 1, 1, 0, 1, 2, 600, 300, 100, 0, 0, 0, 1, 2, 1, 0, 0, 0)


def test_json_in_a_page_cannot_end_its_element():
    value = {"a": "</script><!--", "b": "\u2028\ud800&", "c": [1, None, 2.5]}
    text = document.encode(value)
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == value


def test_the_policy_allows_the_pages_own_code_alone():
    text = document.document(
        "<title>", "<p>", styles=["a{}"], scripts=["f()"], data={}, packed={}
    ).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert f"style-src '{document.hash_of(style)}'" in policy
    assert f"script-src '{document.hash_of(script)}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "&lt;title&gt;" in text


def test_nothing_recorded(tmp_path):
    target = tmp_path / "app.html"
    assert export(recording(tmp_path), target).calls == 0
    assert page_data(target.read_text())["tracks"] == []
