"""Process and thread numbers that are unique in a file.

Viewers tell processes and threads apart by number, and the system gives numbers out again: to a
thread after another has ended, to the same process after it has called exec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.recording import Recording, Track

FIRST_INVENTED = 10_000_000  # above the largest number of a process on Linux, 4,194,304


class Numbers:
    """Gives out the system's number where it is free, else an invented one."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._next = FIRST_INVENTED

    def take(self, wanted: int) -> int:
        """`wanted`, or a number that nobody has."""
        if wanted <= 0 or wanted in self._used:
            wanted, self._next = self._next, self._next + 1
        self._used.add(wanted)
        return wanted


def used_tracks(recording: Recording) -> list[tuple[int, list[Track]]]:
    """For each process its position and its tracks with records; a process without any has []."""
    return [
        (
            position,
            [track for track in process.tracks if track.summary().first_ns is not None],
        )
        for position, process in enumerate(recording.processes)
    ]
