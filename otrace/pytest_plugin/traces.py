"""Where pytest's plug-in puts its traces, how they are called, and their export.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from otrace import exporting
from otrace.errors import OtraceError

if TYPE_CHECKING:
    from otrace.recording import Recording

DEFAULT_EXPORTER = "chrome"
NAME_LENGTH = 150


@dataclass(frozen=True)
class Job:
    """One export: checked."""

    exporter: exporting.Exporter
    target: str | None
    """A file that was named, or an address."""

    def target_for(self, folder: str, stem: str) -> str | None:
        """Where the trace called `stem` goes."""
        if self.target is None and self.exporter.suffixes:
            return os.path.join(folder, stem + self.exporter.suffixes[0])
        return self.target


def jobs_of(texts: list[str], *, per_test: bool) -> list[Job]:
    """The exports that are asked for. Raises pytest.UsageError."""
    jobs = []
    for text in texts:
        name, equals, target = text.partition("=")
        if not name or (equals and not target):
            raise pytest.UsageError(f"--otrace-export is {text!r}: write it as NAME or NAME=FILE")
        try:
            exporter = exporting.find(name)
            if per_test and target and exporter.suffixes:
                raise pytest.UsageError(
                    f"--otrace-export is {text!r}, and each kept test has a file of its own: "
                    "give NAME alone, and the folder with --otrace-dir"
                )
            if target or not exporter.suffixes:
                exporting.check(target or None, exporter=exporter)
        except OtraceError as error:
            raise pytest.UsageError(f"--otrace-export: {error}") from None
        jobs.append(Job(exporter, target or None))
    return jobs


def export(
    recording: Recording, jobs: list[Job], folder: str, stem: str
) -> tuple[list[exporting.ExportResult], list[str]]:
    """Run the exports; returns what was written, and a line for each that failed."""
    results: list[exporting.ExportResult] = []
    problems: list[str] = []
    for job in jobs:
        target = job.target_for(folder, stem)
        try:
            if job.target is None and target is not None:
                make_folder(folder)
            results.append(exporting.export(recording, target, exporter=job.exporter))
        except OtraceError as error:
            problems.append(f"no trace: {error}")
    return results, problems


def line_of(result: exporting.ExportResult) -> str:
    """What was written: `otrace-traces/session.json: 1,234 calls`."""
    line = f"{shown(result.target or '')}: {result.calls:,} calls"
    return f"{line}; {result.message}" if result.message else line


def make_folder(folder: str) -> None:
    """The folder of the traces, which keeps itself out of version control."""
    try:
        os.makedirs(folder, exist_ok=True)
        ignore = os.path.join(folder, ".gitignore")
        if not os.listdir(folder):
            with open(ignore, "w", encoding="ascii") as file:
                file.write("*\n")
    except OSError as error:
        raise OtraceError(
            f"cannot make {folder}: {error.strerror}; choose another with --otrace-dir"
        ) from None


def missing(recording: Recording) -> list[str]:
    """What people must know about what is not in the trace."""
    lost = sum(process.losses.calls for process in recording.processes)
    lines = list(recording.warnings)
    if lost:
        lines.append(
            f"{lost:,} calls lost: the oldest were overwritten; a larger OTRACE_BUFFER_SIZE or "
            "buffer_size in [tool.otrace] keeps them"
        )
    return lines


def stem_of(nodeid: str) -> str:
    """A file's name for a test: `tests.test_a.TestX.test_y[1]`; different for different tests."""
    plain = nodeid.replace(".py::", "::").replace("/", ".").replace("::", ".")
    safe = re.sub(r"[^A-Za-z0-9._\[\]=,+-]", "_", plain).lstrip(".-") or "test"
    if safe == plain and len(safe) <= NAME_LENGTH and "/" not in nodeid.partition("::")[2]:
        return safe
    digest = hashlib.sha256(nodeid.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{safe[:NAME_LENGTH]}-{digest}"


def shown(path: str) -> str:
    """A path as people type it: relative where that is shorter."""
    if "://" in path:
        return path
    try:
        relative = os.path.relpath(path)
    except OSError:  # the current folder is gone
        return path
    return relative if len(relative) < len(path) else path
