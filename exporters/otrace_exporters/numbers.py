"""Numbers for files: of processes and threads, unique in a file; and how many calls to expect.

Viewers tell processes and threads apart by number, and the system gives numbers out again: to a
thread after another has ended, to the same process after it has called exec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.recording import Recording

FIRST_INVENTED = 10_000_000  # above the largest number of a process on Linux, 4,194,304
RECORD_BYTES_A_CALL = 8


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


def estimate_calls(recording: Recording) -> int:
    """About how many calls there are, without reading them; for progress bars."""
    used = sum(process.sizes.bytes_used for process in recording.processes)
    return max(used // RECORD_BYTES_A_CALL, 1)
