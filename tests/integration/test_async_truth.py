"""Tasks and calls of coroutines are what the programs note of themselves."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from oracle.corpus import otrace_run

from otrace.recording import CallFlag, Process, Recording

FOLDER = Path(__file__).parent / "async_programs"
PROGRAMS = re.findall(r"@program\ndef (\w+)", (FOLDER / "programs.py").read_text())
NEWER = {"eager_tasks": (3, 12)}
TYPES_ARE_KNOWN = sys.version_info >= (3, 12)
Row = dict[str, Any]


def traced(folder: Path, name: str, *options: str) -> tuple[Row, Recording]:
    program = str(FOLDER / "programs.py")
    done = otrace_run(folder, *options, "-o", "t.otrace", program, name, str(folder / "notes.json"))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "notes.json").read_text()), Recording.open(folder / "t.otrace")


def logical_calls(process: Process) -> list[Row]:
    columns = process.tasks.calls()
    names = {task.id: task.name for task in process.tasks}
    rows = [
        {name: getattr(columns, name)[row] for name in columns.__dataclass_fields__}
        for row in range(len(columns))
    ]
    for row in rows:
        row["name"] = process.functions[row["function"]].qualified.rsplit(".", 1)[-1]
        row["task_name"] = names.get(row["task"])
        row["error"] = process.functions[row["exception"]].qualified if row["exception"] else None
    return rows


def by_function(rows: list[Row], task: str, function: str, start: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[start]):
        groups[row[task], row[function]].append(row)
    return groups


def check_call(noted: Row, row: Row, base: int) -> None:
    assert row["start_ns"] + base <= noted["start"]
    ended = row["duration_ns"] >= 0
    end = row["start_ns"] + row["duration_ns"] + base
    assert not ended or noted["end"] is None or noted["end"] <= end
    unwound = bool(row["flags"] & CallFlag.UNWOUND)
    if noted["outcome"] is not None:  # else it was closed after the program had written its notes
        assert ended
        assert unwound == (noted["outcome"] != "returned")
        if unwound and TYPES_ARE_KNOWN:
            assert row["error"].rsplit(".", 1)[-1] == noted["outcome"]
    if noted["awaits"] is not None:
        assert row["awaits"] == noted["awaits"]
    assert not row["flags"] & (CallFlag.CUT | CallFlag.INFERRED)
    if ended:
        assert 0 < row["running_ns"] <= row["duration_ns"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, tmp_path: Path) -> None:
    if sys.version_info < NEWER.get(name, (3,)):
        pytest.skip("this Python has no such tasks")
    notes, recording = traced(tmp_path, name)
    (process,) = recording.processes
    assert recording.warnings == []
    rows = logical_calls(process)
    shown = by_function(rows, "task_name", "name", "start_ns")
    noted = by_function(notes["calls"], "task", "function", "start")
    for (task, function), calls in noted.items():
        found = shown[task, function]
        assert len(found) == len(calls), (task, function)
        for call, row in zip(calls, found, strict=True):
            check_call(call, row, recording.start_mono_ns)
    wanted = Counter(call["function"] for call in notes["calls"])
    assert {key: sum(row["name"] == key for row in rows) for key in wanted} == dict(wanted)
    check_tasks(notes["tasks"], process)
    check_steps(process)


@pytest.mark.parametrize(
    "options",
    [
        ("--no-stdlib",),
        ("--no-c-calls",),
        ("--exclude", "asyncio", "--exclude", "contextlib"),
        ("--min-duration", "1h"),
    ],
    ids=" ".join,
)
def test_tasks_do_not_depend_on_what_is_shown(options: tuple[str, ...], tmp_path: Path) -> None:
    notes, recording = traced(tmp_path, "nested_groups", *options)
    (process,) = recording.processes
    check_tasks(notes["tasks"], process)
    check_steps(process)
    wanted = Counter(call["function"] for call in notes["calls"])
    shown = Counter(row["name"] for row in logical_calls(process))
    assert {name: shown[name] for name in wanted} == dict(wanted)


def test_a_task_whose_own_coroutine_is_hidden(tmp_path: Path) -> None:
    """Its turns are those of the calls that it awaits."""
    hidden = ("--exclude-function", "top", "--exclude-function", "middle")
    notes, recording = traced(tmp_path, "two_tasks_take_turns", *hidden)
    (process,) = recording.processes
    tasks = {task.name: task for task in process.tasks}
    assert {tasks[name].state for name in ("first", "second")} == {"unknown"}
    rows = logical_calls(process)
    leaves = Counter(row["task_name"] for row in rows if row["name"] == "leaf")
    assert leaves == {"first": 2, "second": 2}
    noted = Counter(call["task"] for call in notes["calls"] if call["function"] == "leaf")
    assert noted == leaves


def check_tasks(noted: list[Row], process: Process) -> None:
    names = {task.id: task.name for task in process.tasks}
    shown = {task.name: task for task in process.tasks}
    for task in noted:
        found = shown[task["name"]]
        assert found.kind == "asyncio"
        assert found.state == task["state"], task
        assert (names[found.parent] if found.parent else None) == task["parent"], task
        assert found.started_ns is not None
        assert found.steps > 0
        assert found.created_ns is None or found.created_ns <= found.started_ns
        assert (found.ended_ns is None) == (task["state"] == "pending")
    assert len(names) == len({task.id for task in process.tasks})


def check_steps(process: Process) -> None:
    """A task's steps follow each other; what its thread ran in them is the task's."""
    columns = process.tasks.steps()
    last: dict[int, int] = {}
    running: Counter[int] = Counter()
    for task, start, duration in zip(
        columns.task, columns.start_ns, columns.duration_ns, strict=True
    ):
        assert last.get(task, -1) <= start
        last[task] = start + duration
        running[task] += duration
    for task in process.tasks:
        assert task.running_ns <= running[task.id]
