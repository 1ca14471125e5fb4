"""Task tracks, as the real Perfetto UI understands them, against what the programs note."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from oracle.corpus import otrace_run
from perfetto_ui import PerfettoUI

PROGRAMS = Path(__file__).parent.parent / "integration" / "async_programs" / "programs.py"
NAMES = [
    "nested_groups",
    "task_group_fails",
    "two_generators_of_one_function",
    "two_loops_in_two_threads",
]
MARKS = {"cancelled": " (cancelled)", "failed": " (failed)"}
TASK_SLICES = """
    select track.name track, track.id track_id, slice.name, slice.ts, slice.dur, slice.depth,
           slice.category
    from slice join track on slice.track_id = track.id
    join track up on track.parent_id = up.id
    where up.name = 'Tasks' order by track.id, slice.ts, slice.depth
"""
FLOWS = """
    select parent.name parent, child.name child
    from flow
    join slice a on a.id = flow.slice_out join track parent on parent.id = a.track_id
    join slice b on b.id = flow.slice_in join track child on child.id = b.track_id
"""


def run(folder: Path, name: str, *options: str) -> dict[str, Any]:
    notes = folder / "notes.json"
    done = otrace_run(folder, *options, "-o", "t.pftrace", str(PROGRAMS), name, str(notes))
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(notes.read_text())
    return data


@pytest.mark.parametrize("name", NAMES)
def test_task_tracks(name: str, tmp_path: Path, perfetto: PerfettoUI) -> None:
    notes = run(tmp_path, name)
    marks = {task["name"]: task["name"] + MARKS.get(task["state"], "") for task in notes["tasks"]}
    with perfetto.open(tmp_path / "t.pftrace") as trace:
        assert trace.stats() == {}
        slices = trace.query(TASK_SLICES)
        tracks = {row["name"] for row in trace.query("select name from track")}
        flows = {(row["parent"], row["child"]) for row in trace.query(FLOWS)}
    assert set(marks.values()) <= tracks
    shown = Counter(
        (row["track"], row["name"].rsplit(".", 1)[-1])
        for row in slices
        if row["category"] == "task"
    )
    for (task, function), count in Counter(
        (call["task"], call["function"]) for call in notes["calls"] if call["function"] != "ticks"
    ).items():
        assert shown[marks[task], function] == count
    for task in notes["tasks"]:
        if task["parent"] is not None:
            assert (marks[task["parent"]], marks[task["name"]]) in flows
    waits = [row for row in slices if row["name"] == "waiting"]
    assert waits
    assert all(row["depth"] > 0 for row in waits)


def test_without_tasks(tmp_path: Path, perfetto: PerfettoUI) -> None:
    run(tmp_path, "nested_groups", "--no-tasks")
    with perfetto.open(tmp_path / "t.pftrace") as trace:
        assert trace.query(TASK_SLICES) == []
