"""Runs the exports of a recording and says what came of them; for `run` and `export`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from otrace.cli import words
from otrace.cli.outputs import Job
from otrace.cli.progress import ProgressBar
from otrace.errors import OtraceError
from otrace.exporting import ExportResult, run

if TYPE_CHECKING:
    from otrace.recording import Recording


def perform(jobs: Iterable[Job], recording: "Recording", *, quiet: bool) -> list[OtraceError]:
    """Run each export, saying in a line what was written; returns what failed, unsaid."""
    failures: list[OtraceError] = []
    for job in jobs:
        try:
            with ProgressBar(job.name, quiet=quiet) as progress:
                result = run(job.exporter, recording, job.target, job.options, progress)
        except OtraceError as error:
            failures.append(error)
            continue
        if not quiet:
            words.say(line_of(result, recording, job))
    return failures


def line_of(result: ExportResult, recording: "Recording", job: Job) -> str:
    """What was written, such as "app.json: 1,234 calls, 2 processes, 1.2 MB"."""
    parts = [words.count(result.calls, "call")]
    if len(recording.processes) > 1:
        parts.append(words.count(len(recording.processes), "process"))
    parts.append(words.size(result.bytes))
    line = f"{result.target or job.name}: {', '.join(parts)}"
    return f"{line}; {result.message}" if result.message else line


def warnings_of(recording: "Recording") -> list[str]:
    """What a person must know about what is missing: losses and the reader's warnings."""
    lines = list(recording.warnings)
    lost = sum(process.losses.calls for process in recording.processes)
    dropped = sum(process.losses.dropped_no_space for process in recording.processes)
    if lost:
        lines.append(
            f"{words.count(lost, 'call')} lost: the oldest were overwritten; "
            "a larger --buffer-size keeps them"
        )
    if dropped:
        lines.append(f"{words.count(dropped, 'record')} lost: there was no space to write them")
    return lines
