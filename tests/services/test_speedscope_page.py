"""Speedscope's own page opens our profiles, and shows the functions and times of `otrace stats`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from oracle import corpus
from speedscope import Speedscope, rows_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROGRAM = """\
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def numbers(n):
    for i in range(n):
        yield i

def deep(n):
    return n and deep(n - 1)

class Script:
    def run(self):
        return sorted([3, 1, 2], key=lambda n: -n)

def fails():
    raise ValueError("no")

fib(12), sum(numbers(20)), deep(900), Script().run()
for _ in range(2):
    exec("def twin(): pass\\ntwin()", {"__name__": "generated"})  # two functions of one name
try:
    fails()
except ValueError:
    pass
"""
THREADS = """\
import threading

def first():
    second()

def second():
    pass

thread = threading.Thread(target=first, name="the worker")
thread.start()
thread.join()
"""
UNITS_NS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}


class Recorded:
    """A program, recorded, with its profile for speedscope."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.recording = folder / "t.otrace"
        self.profile = folder / "t.speedscope.json"
        outputs = ("-o", self.recording, "-o", self.profile)
        done = corpus.otrace_run(folder, "-q", *map(str, outputs), str(program))
        assert done.returncode == 0, done.stderr

    def stats(self) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "otrace", "stats", "--limit", "0", "--json"]
        done = subprocess.run(
            [*command, str(self.recording)], capture_output=True, check=True, timeout=60
        )
        rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
        return rows


def record(folder: Path, text: str) -> Recorded:
    program = folder / "program.py"
    program.write_text(text, encoding="utf-8")
    return Recorded(folder, program)


def nanoseconds(shown: str) -> float:
    """What is written as `1.23ms (4.5%)`."""
    found = re.fullmatch(r"([0-9.]+)(ns|µs|ms|s) \([0-9.<]+%\)", shown)
    assert found is not None, shown
    return float(found[1]) * UNITS_NS[found[2]]


def test_functions_and_their_times(tmp_path: Path, speedscope: Speedscope) -> None:
    recorded = record(tmp_path, PROGRAM)
    shown = speedscope.visit(recorded.profile, rows_of)
    stats = {row["name"]: row for row in recorded.stats()}
    assert {"__main__.fib", "__main__.deep", "__main__.Script.run", "generated.twin"} < set(shown)
    assert set(shown) == set(stats)
    for name, row in stats.items():
        total, own = map(nanoseconds, shown[name])
        # The page writes three digits or more.
        assert total == pytest.approx(row["total_ns"], rel=0.01, abs=10), name
        assert own == pytest.approx(row["self_ns"], rel=0.01, abs=10), name


def test_a_profile_for_each_thread(tmp_path: Path, speedscope: Speedscope) -> None:
    def look(page: Page) -> list[set[str]]:
        tables = []
        for number, thread in ((1, "MainThread"), (2, "the worker")):
            page.get_by_text(f"/ {thread} ({number}/2)").wait_for()
            tables.append(set(rows_of(page)))
            page.keyboard.press("n")
        return tables

    main, worker = speedscope.visit(record(tmp_path, THREADS).profile, look)
    assert {"__main__.first", "__main__.second"} <= worker - main
    assert "__main__.<module>" in main - worker


def test_odd_names_are_shown_as_text(tmp_path: Path, speedscope: Speedscope) -> None:
    (program,) = (program for program in corpus.ALL if program.name == "odd_names")
    shown = set(speedscope.visit(Recorded(tmp_path, program.path).profile, rows_of))
    assert {"__main__.</script>", "__main__.函数", "__main__.😀 emoji"} <= shown
