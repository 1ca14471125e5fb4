"""The programs that the reference tracer and the product are both run on.

A program may say, in comment lines that start with `# oracle:`,

    status=N     the exit status it ends with (0)
    imports=A,B  modules whose bodies are part of the comparison; nothing else has loaded them
    since=3.N    the oldest Python that can run it
    by-hand      the reference cannot trace it; a test knows its truth by itself
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MARK = "# oracle:"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Program:
    name: str
    path: Path
    status: int
    imports: frozenset[str]
    since: tuple[int, ...]
    by_hand: bool


def _read(path: Path) -> Program:
    words: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(MARK):
            key, _, value = line.removeprefix(MARK).strip().partition("=")
            words[key] = value
    return Program(
        name=path.stem,
        path=path,
        status=int(words.get("status", "0")),
        imports=frozenset(filter(None, words.get("imports", "").split(","))),
        since=tuple(int(part) for part in words.get("since", "3").split(".")),
        by_hand="by-hand" in words,
    )


ALL = tuple(_read(path) for path in sorted((HERE / "programs").glob("*.py")))
PROGRAMS = tuple(
    program for program in ALL if not program.by_hand and program.since <= sys.version_info
)


def environment() -> dict[str, str]:
    """What both sides run under: a fixed order of sets, and no traces on the disk."""
    return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(command: list[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )


def plain(path: Path) -> subprocess.CompletedProcess[str]:
    """Run a program untraced."""
    return _run([str(path)], None)


def trace(path: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the reference tracer on a program; the result's output and status are the program's."""
    return _run([str(HERE / "reference.py"), str(out), *options, str(path)], None)


def otrace_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`otrace run ARGUMENTS` in a folder, by the interpreter of the tests."""
    return _run(["-m", "otrace", "run", *arguments], folder)
