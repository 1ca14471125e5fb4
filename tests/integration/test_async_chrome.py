"""Tasks in a Chrome trace: asynchronous rows that nest by the id of their task."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from oracle.corpus import otrace_run

PROGRAMS = Path(__file__).parent / "async_programs" / "programs.py"


def rows_of(folder: Path, name: str, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    notes = folder / "notes.json"
    done = otrace_run(folder, *options, "-o", "t.json", str(PROGRAMS), name, str(notes))
    assert done.returncode == 0, done.stderr
    document = json.loads((folder / "t.json").read_text())
    rows = [row for row in document["traceEvents"] if row["ph"] in "be"]
    return json.loads(notes.read_text()), rows


@pytest.mark.parametrize("name", ["nested_groups", "chain", "two_loops_in_two_threads"])
def test_task_rows(name: str, tmp_path: Path) -> None:
    notes, rows = rows_of(tmp_path, name)
    open_names: dict[str, list[str]] = defaultdict(list)
    last: dict[str, float] = defaultdict(float)
    shown: Counter[tuple[str, str]] = Counter()
    for row in rows:
        task = row["id2"]["local"]
        assert row["cat"] == "task"
        assert last[task] <= row["ts"]
        last[task] = row["ts"]
        if row["ph"] == "b":
            open_names[task].append(row["name"])
            shown[open_names[task][0], row["name"].rsplit(".", 1)[-1]] += 1
        else:
            assert open_names[task].pop() == row["name"]
    assert not any(open_names.values())
    for key, count in Counter((call["task"], call["function"]) for call in notes["calls"]).items():
        assert shown[key] == count
    assert {task["name"] for task in notes["tasks"]} <= {task for task, _ in shown}


def test_without_tasks(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "chain", "--no-tasks")[1] == []
