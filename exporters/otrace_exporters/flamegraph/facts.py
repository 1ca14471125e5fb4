"""What pages say of a recording: its line of facts, and what is missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording

UNITS = (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000))
MOST_WARNINGS = 12


def title_of(recording: Recording) -> str:
    """The program's name."""
    program = (recording.manifest or {}).get("program")
    name = program if isinstance(program, str) and program else recording.processes[0].name
    return name.rstrip("/").rpartition("/")[2] or name


def meta_of(recording: Recording, profile: Profile) -> list[str]:
    """How long, how much, which Python, when."""
    threads = sum(profile.tree.runs[root.node] > 0 for root in profile.roots)
    versions = sorted({process.python_version for process in recording.processes})
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(recording.start_wall_ns / 1e9))
    return [
        duration(recording.duration_ns),
        plural(profile.calls, "call"),
        plural(len(recording.processes), "process"),
        plural(threads, "thread"),
        f"Python {', '.join(versions)}",
        written,
    ]


def notes_of(recording: Recording, profile: Profile) -> list[str]:
    """What people must know about what is not shown, a line each."""
    lines = [*recording.warnings, *profile.warnings]
    lost = sum(process.losses.calls for process in recording.processes)
    dropped = sum(process.losses.dropped_no_space for process in recording.processes)
    if lost:
        lines.append(f"{plural(lost, 'call')} lost: the oldest were overwritten in a full buffer.")
    if dropped:
        lines.append(f"{plural(dropped, 'record')} lost: there was no space to write them.")
    if profile.folded_runs:
        lines.append(
            f"{plural(profile.folded_runs, 'call')} on rare paths are counted as their callers'."
        )
    unique = list(dict.fromkeys(lines))
    more = len(unique) - MOST_WARNINGS
    return unique if more <= 0 else [*unique[:MOST_WARNINGS], f"and {more} more warnings"]


def duration(ns: int) -> str:
    """Three significant digits: "1.23 ms"."""
    for unit, size in UNITS:
        if ns >= size:
            value = ns / size
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit.replace('u', chr(0xB5))}"
    return f"{ns} ns"


def plural(number: int, thing: str) -> str:
    """Such as "1 call", "1,234 calls", "2 processes"."""
    if number == 1:
        return f"1 {thing}"
    return f"{number:,} {thing}{'es' if thing.endswith('s') else 's'}"
