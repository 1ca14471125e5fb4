"""Blocked event loops are found where the program notes that it blocked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oracle.corpus import otrace_run

from otrace.recording import Recording
from otrace.recording.loops import loop_lags, threshold_of

PROGRAM = Path(__file__).parent / "async_programs" / "blocked.py"
Row = dict[str, Any]


def run(folder: Path, output: str, *words: str, flags: tuple[str, ...] = ()) -> list[Row]:
    done = otrace_run(
        folder, "--loop-lag", "100ms", *flags, "-o", output, str(PROGRAM), "notes.json", *words
    )
    assert done.returncode == 0, done.stderr
    notes: list[Row] = json.loads((folder / "notes.json").read_text())
    return notes


def covers(start: int, end: int, noted: Row) -> bool:
    """Whether a time holds another; the noted one was taken inside."""
    return start <= noted["start"] and noted["end"] <= end


@pytest.mark.parametrize(
    ("loop", "flags", "known"),
    [
        ("asyncio", (), {"step", "callback", "iteration"}),
        ("asyncio", ("--no-c-calls",), {"step", "callback", "iteration"}),
        ("asyncio", ("--no-stdlib",), {"step"}),
        ("uvloop", (), {"step"}),
    ],
)
def test_lags(loop: str, flags: tuple[str, ...], known: set[str], tmp_path: Path) -> None:
    pytest.importorskip(loop)
    notes = run(tmp_path, "t.otrace", *([loop] if loop == "uvloop" else []), flags=flags)
    recording = Recording.open(tmp_path / "t.otrace")
    (process,) = recording.processes
    assert threshold_of(recording) == 100_000_000
    lags = loop_lags(process, threshold_of(recording))
    base = recording.start_mono_ns
    tasks = {task.id: task.name for task in process.tasks}
    places = [(lag, base + lag.start_ns, base + lag.start_ns + lag.duration_ns) for lag in lags]
    assert {lag.track.name for lag in lags} == {"MainThread"}
    for noted in notes:
        found = {lag.kind: lag for lag, start, end in places if covers(start, end, noted)}
        if noted["kind"] == "idle" or noted["kind"] not in known:
            assert found == {}, noted
        else:
            assert "loop" in found, noted
            assert ("callback" in found) == (noted["kind"] != "iteration")
            if noted["kind"] == "step":
                task = found["callback"].task
                assert task is not None
                assert tasks[task] == "rude"


def test_rows_of_a_chrome_trace(tmp_path: Path) -> None:
    notes = run(tmp_path, "t.json")
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    marks = [row for row in rows if row["ph"] == "i" and row["cat"] == "loop"]
    values = [row for row in rows if row["ph"] == "C"]
    slow = [row["args"].get("task") for row in marks if row["name"] == "slow callback"]
    assert "rude" in slow
    assert None in slow
    blocked = [row for row in marks if row["name"] == "loop blocked"]
    assert len(blocked) >= 3
    assert len(values) == 2 * len(blocked)
    assert {row["name"] for row in values} == {"loop lag: MainThread"}
    (step,) = [noted for noted in notes if noted["kind"] == "step"]
    assert max(row["args"]["µs"] for row in values) * 1000 >= step["end"] - step["start"] - 1000


def test_without_the_flag(tmp_path: Path) -> None:
    done = otrace_run(tmp_path, "-o", "t.json", str(PROGRAM), "notes.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert not [row for row in rows if row.get("cat") == "loop"]
