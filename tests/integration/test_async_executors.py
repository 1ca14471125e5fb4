"""Work for pools of threads: an arrow from where it was submitted to where it ran, and its wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oracle.corpus import otrace_run

PROGRAM = Path(__file__).parent / "async_programs" / "executors.py"
Row = dict[str, Any]


def around(row: Row, rows: list[Row]) -> list[str]:
    """The names of the slices that are open on a thread at a row's time."""
    return [
        other["name"]
        for other in rows
        if other["tid"] == row["tid"]
        and other["ts"] <= row["ts"] < other["ts"] + other["dur"] + 0.0005
    ]


@pytest.mark.parametrize("option", ["", "--no-stdlib", "--no-c-calls"])
def test_arrows_and_waits(option: str, tmp_path: Path) -> None:
    options = [option] if option else []
    done = otrace_run(tmp_path, *options, "-o", "t.json", str(PROGRAM), "notes.json")
    assert done.returncode == 0, done.stderr
    notes = json.loads((tmp_path / "notes.json").read_text())
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    slices = [row for row in rows if row["ph"] == "X"]
    starts = {row["id"]: row for row in rows if row["ph"] == "s" and row["cat"] == "flow"}
    ends = {row["id"]: row for row in rows if row["ph"] == "f" and row["cat"] == "flow"}
    works = {row["name"]: row for row in slices if row["name"].startswith("__main__.work_")}
    submits = {row["name"]: row for row in slices if row["name"].startswith("__main__.submit_")}
    assert set(ends) <= set(starts)
    resumed = {(row["tid"], row["ts"]) for row in slices if row.get("args", {}).get("resumed")}
    ends = {flow: row for flow, row in ends.items() if (row["tid"], row["ts"]) not in resumed}
    seen = set()
    for flow, end in ends.items():
        (run,) = (
            row
            for row in slices
            if row["tid"] == end["tid"] and row["ts"] == end["ts"] and "queued_us" in row["args"]
        )
        found = [name for name, work in works.items() if name == run["name"] or inside(work, run)]
        if not found:
            assert option != "--no-stdlib"  # the cancelled one's run calls nothing
            continue
        assert len(found) == 1  # no job runs another one on its thread
        name = found[0].removeprefix("__main__.work_")
        seen.add(name)
        note = notes[name]
        assert end["tid"] == note["thread"]
        assert starts[flow]["tid"] == note["submitter"]
        if name not in ("to_thread", *(n for n in notes if n.startswith("many"))):
            # asyncio.to_thread is a coroutine: it submits when it runs, not when it is called.
            assert f"__main__.submit_{name}" in around(starts[flow], slices)
        queued_ns = run["args"]["queued_us"] * 1000
        assert queued_ns <= note["began"] - note["before"]
        if "opened" in note:
            assert queued_ns + 1000 >= note["opened"] - note["after"]
    assert seen == set(notes) - {"cancelled"}
    assert len(submits) == len(notes)


def inside(inner: Row, outer: Row) -> bool:
    return bool(
        inner["tid"] == outer["tid"]
        and outer["ts"] <= inner["ts"]
        and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 0.0005
    )


NAMESAKE = """\
names = {"__name__": "concurrent.futures.thread"}
exec('''
class _WorkItem:
    def __init__(self): pass
    @staticmethod
    def run(): pass
def leave(item): pass
''', names)
item = names["_WorkItem"]()
names["leave"](item)      # where run has no argument, its frame still holds this one
names["_WorkItem"].run()
"""


def test_a_namesake_without_arguments(tmp_path: Path) -> None:
    """What lies behind a frame is no argument of its function."""
    (tmp_path / "app.py").write_text(NAMESAKE)
    done = otrace_run(tmp_path, "-o", "t.json", "app.py")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert "concurrent.futures.thread._WorkItem.run" in {row["name"] for row in rows}
    assert not [row for row in rows if row["ph"] == "f"]
