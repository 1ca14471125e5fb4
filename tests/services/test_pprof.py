"""Go's own pprof opens what we write (the first run on a machine builds it: about a minute)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, which carries pprof"),
]
PROGRAM = "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(10)\n"
TIMEOUT_S = 300


def pprof(folder: Path, *words: str) -> str:
    command = ["go", "tool", "pprof", *words, "out.pb.gz"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pprof_shows_calls_and_times(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    otrace = [sys.executable, "-m", "otrace"]
    subprocess.run(
        [*otrace, "run", "-q", "-o", "out.pb.gz", "program.py"], cwd=tmp_path, check=True
    )
    calls = pprof(tmp_path, "-top", "-sample_index=calls")
    (line,) = (line for line in calls.splitlines() if line.endswith("__main__.fib"))
    assert line.split()[0] == "177"
    assert "Type: wall" in pprof(tmp_path, "-top")
    raw = pprof(tmp_path, "-raw")
    assert re.search(r"thread:\[MainThread\]", raw)
    assert re.search(r"__main__\.fib .*program\.py:1", raw)
