"""Arrows from submitted work to its run, as the real Perfetto UI understands them."""

from __future__ import annotations

import json
from pathlib import Path

from oracle.corpus import otrace_run
from perfetto_ui import PerfettoUI

PROGRAM = Path(__file__).parent.parent / "integration" / "async_programs" / "executors.py"
ARROWS = """
    select a.name start, b.name end, b.id run, extract_arg(b.arg_set_id, 'debug.queued_us') queued,
           (select max(name) from ancestor_slice(a.id) where name glob '*.submit_*') submit,
           (select max(name) from descendant_slice(b.id) where name glob '*.work_*') work
    from flow join slice a on a.id = flow.slice_out join slice b on b.id = flow.slice_in
"""


def test_submitted_work(tmp_path: Path, perfetto: PerfettoUI) -> None:
    done = otrace_run(tmp_path, "-o", "t.pftrace", str(PROGRAM), "notes.json")
    assert done.returncode == 0, done.stderr
    notes = json.loads((tmp_path / "notes.json").read_text())
    with perfetto.open(tmp_path / "t.pftrace") as trace:
        assert trace.stats() == {}
        rows = trace.query(ARROWS)
    made = [row for row in rows if row["start"].endswith("_WorkItem.__init__")]
    assert {row["end"] for row in made} == {"concurrent.futures.thread._WorkItem.run"}
    arrows = {row["work"].split("work_")[-1]: row for row in made if row["work"]}
    assert set(arrows) == set(notes) - {"cancelled"}
    for name, row in arrows.items():
        if row["submit"] is not None:  # a coroutine submits later, from its task
            assert row["submit"].endswith("submit_" + name)
        assert row["queued"] * 1000 <= notes[name]["began"] - notes[name]["before"]
    assert sum(row["submit"] is not None for row in arrows.values()) >= 6


def test_blocked_loops(tmp_path: Path, perfetto: PerfettoUI) -> None:
    program = PROGRAM.parent / "blocked.py"
    words = ("--loop-lag", "100ms", "-o", "t.pftrace", str(program), "notes.json")
    done = otrace_run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    with perfetto.open(tmp_path / "t.pftrace") as trace:
        assert trace.stats() == {}
        marks = trace.query(
            "select slice.name, extract_arg(arg_set_id, 'debug.task') task, "
            "extract_arg(arg_set_id, 'debug.blocked_us') us, thread.name thread "
            "from slice join thread_track on thread_track.id = slice.track_id "
            "join thread using (utid) where slice.category = 'loop'"
        )
        values = trace.query(
            "select value, unit from counter join counter_track track on track.id = track_id "
            "where track.name = 'loop lag: MainThread' order by ts"
        )
    assert {row["thread"] for row in marks} == {"MainThread"}
    assert "rude" in {row["task"] for row in marks if row["name"] == "slow callback"}
    blocked = [row["us"] for row in marks if row["name"] == "loop blocked"]
    assert len(blocked) >= 3
    assert sorted(row["value"] for row in values) == sorted([*blocked, *(0 for _ in blocked)])
    assert {row["unit"] for row in values} == {"µs"}


def test_wakers(tmp_path: Path, perfetto: PerfettoUI) -> None:
    program = PROGRAM.parent / "wakes.py"
    done = otrace_run(tmp_path, "-o", "t.pftrace", str(program), "notes.json")
    assert done.returncode == 0, done.stderr
    notes = json.loads((tmp_path / "notes.json").read_text())
    with perfetto.open(tmp_path / "t.pftrace") as trace:
        assert trace.stats() == {}
        waits = trace.query(
            "select track.name task, extract_arg(arg_set_id, 'debug.woken_by') woken_by, "
            "extract_arg(arg_set_id, 'debug.woken_in') woken_in "
            "from slice join track on track.id = slice.track_id where slice.name = 'waiting'"
        )
        arrows = trace.query(ARROWS)
    found = {
        (row["task"].removesuffix(" (cancelled)"), row["woken_by"], row["woken_in"].split(".")[-1])
        for row in waits
        if row["woken_in"]
    }
    assert {tuple(noted) for noted in notes} <= found
    woken = [row for row in arrows if row["start"] == "asyncio.base_events.BaseEventLoop.call_soon"]
    assert len(woken) >= len(notes)
    assert all(row["queued"] is not None for row in woken)
