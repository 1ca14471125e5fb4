"""Reads what `otrace run` left: the Chrome trace and `otrace info`, by function and thread."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

Row = dict[str, Any]
PATIENCE_S = 60.0


class Trace:
    """A Chrome trace: completed calls (X) and those open at the end (B)."""

    def __init__(self, path: Path) -> None:
        self.document = json.loads(path.read_bytes())
        self.shown_pids: dict[int, int] = {}
        self.rows: list[Row] = self.document["traceEvents"]
        self.done = [row for row in self.rows if row["ph"] == "X"]
        self.open = [row for row in self.rows if row["ph"] == "B"]
        self.about: Row = self.document["otherData"]["otrace"]
        # What exec starts has its predecessor's pid: the trace shows it under another number.
        for row in self.rows:
            if row["ph"] == "M" and row["name"] == "process_sort_index":
                process = self.about["processes"][row["args"]["sort_index"]]
                self.shown_pids[row["pid"]] = process["pid"]

    def pids(self) -> set[int]:
        """The processes that recorded."""
        return {process["pid"] for process in self.about["processes"]}

    def count(self, name: str, *, pid: int | None = None, tid: int | None = None) -> int:
        """The completed calls of a function."""
        return sum(row["name"] == name for row in self.where(self.done, pid, tid))

    def counts(self, *, pid: int | None = None, tid: int | None = None) -> Counter[str]:
        """The completed calls by function."""
        return Counter(row["name"] for row in self.where(self.done, pid, tid))

    def open_names(self, *, pid: int | None = None, tid: int | None = None) -> list[str]:
        """The calls that were open at the end, the outermost first."""
        return [row["name"] for row in self.where(self.open, pid, tid)]

    def where(self, rows: list[Row], pid: int | None, tid: int | None) -> Iterator[Row]:
        """The rows of a process, whatever programs it ran, and of a thread."""
        for row in rows:
            of_process = pid is None or self.shown_pids[row["pid"]] == pid
            if of_process and (tid is None or row["tid"] == tid):
                yield row

    def process_names(self) -> dict[int, str]:
        """Each process's name."""
        return {p: name for (p, _), name in self.metadata("process_name").items()}

    def thread_names(self, pid: int) -> dict[int, str]:
        """Each thread's name, by its row's tid."""
        return {t: name for (p, t), name in self.metadata("thread_name").items() if p == pid}

    def metadata(self, kind: str) -> dict[tuple[int, int], str]:
        return {
            (row["pid"], row["tid"]): row["args"]["name"]
            for row in self.rows
            if row["ph"] == "M" and row["name"] == kind
        }

    def check_nesting(self) -> None:
        """Calls of a thread lie within each other or apart."""
        by_thread: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for row in self.done:
            start = round(row["ts"] * 1000)
            by_thread[row["pid"], row["tid"]].append((start, start + round(row["dur"] * 1000)))
        for spans in by_thread.values():
            ends: list[int] = []
            for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
                while ends and ends[-1] <= start:
                    ends.pop()
                assert not ends or end <= ends[-1], (start, end, ends[-1])
                ends.append(end)


def info(otrace: Callable[..., subprocess.CompletedProcess[str]], path: Path) -> Row:
    """What `otrace info --json` says about a recording."""
    data: Row = json.loads(otrace("info", "--json", path).stdout)
    return data


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Returns once the condition holds; fails after a minute."""
    end = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < end, f"never happened: {what}"
        sleep(0.005)
