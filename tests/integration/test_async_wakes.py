"""Who let a task go on, against what the program notes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from oracle.corpus import otrace_run

from otrace.recording import Recording

PROGRAM = Path(__file__).parent / "async_programs" / "wakes.py"


@pytest.mark.parametrize("option", ["", "--no-c-calls"])
def test_wakers(option: str, tmp_path: Path) -> None:
    options = [option] if option else []
    done = otrace_run(tmp_path, *options, "-o", "t.otrace", str(PROGRAM), "notes.json")
    assert done.returncode == 0, done.stderr
    notes = Counter(map(tuple, json.loads((tmp_path / "notes.json").read_text())))
    (process,) = Recording.open(tmp_path / "t.otrace").processes
    names = {task.id: task.name for task in process.tasks}
    columns = process.tasks.steps()
    found = Counter(
        (names[task], names.get(by), process.functions[function].qualified.rsplit(".", 1)[-1])
        for task, by, function in zip(columns.task, columns.woken_by, columns.woken_in, strict=True)
        if function
    )
    woken = {name for name, _, _ in notes}
    assert Counter({wake: n for wake, n in found.items() if wake[0] in woken}) == notes


def test_arrows_and_arguments(tmp_path: Path) -> None:
    done = otrace_run(tmp_path, "-o", "t.json", str(PROGRAM), "notes.json")
    assert done.returncode == 0, done.stderr
    notes = json.loads((tmp_path / "notes.json").read_text())
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    waits = Counter(
        (row["args"].get("woken_by"), row["args"]["woken_in"].rsplit(".", 1)[-1])
        for row in rows
        if row["ph"] == "b" and row["name"] == "waiting" and "args" in row
    )
    assert not Counter((by, function) for _, by, function in notes) - waits
    starts = {row["id"]: row for row in rows if row["ph"] == "s" and row["cat"] == "flow"}
    ends = {row["id"]: row for row in rows if row["ph"] == "f" and row["cat"] == "flow"}
    assert ends.keys() <= starts.keys()
    resumed = {
        (row["tid"], row["ts"])
        for row in rows
        if row["ph"] == "X" and row.get("args", {}).get("resumed") and "queued_us" in row["args"]
    }
    assert {(row["tid"], row["ts"]) for row in ends.values()} == resumed
