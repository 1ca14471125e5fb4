"""Which call of which process started another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.recording.process import Process, Track
    from otrace.recording.recording import Recording

# The calls that start processes or replace one; where C calls were not recorded, those around them.
STARTERS = (
    {
        "_posixsubprocess.fork_exec",
        "posix.execv",
        "posix.execve",
        "posix.fork",
        "posix.forkpty",
        "posix.posix_spawn",
        "posix.posix_spawnp",
        "posix.system",
    },
    {
        "multiprocessing.popen_fork.Popen._launch",
        "multiprocessing.popen_spawn_posix.Popen._launch",
        "subprocess.Popen._execute_child",
    },
)
ROWS = 1 << 10


@dataclass(frozen=True, slots=True)
class Birth:
    """A process of the recording that another one started, or that exec made of another one."""

    child: Process
    parent: Process
    track: Track
    """The thread that started it."""
    time_ns: int
    """A moment in the call that did: its start, plus 1."""


def births(recording: Recording) -> list[Birth]:
    """Where the processes of a recording come from, as far as it knows, the latest first.

    A child comes from the last call before it that starts processes and is not another child's: in
    a program that starts others' processes in between, it may be a wrong one of its calls. Without
    such a call (a filter hid it) there is no birth. Reads the parents' tracks. Raises
    RecordingError.
    """
    found: list[Birth] = []
    starts: dict[int, list[tuple[int, int]]] = {}
    for position, child in reversed(list(enumerate(recording.processes))):
        parent = _parent_of(child, recording.processes[:position])
        if parent is None:
            continue
        if id(parent) not in starts:
            starts[id(parent)] = sorted(_starts_in(parent))
        calls = starts[id(parent)]
        while calls and calls[-1][0] >= child.start_ns:
            calls.pop()
        if calls:
            time_ns, index = calls.pop()
            found.append(Birth(child, parent, parent.tracks[index], time_ns + 1))
    return found


def _parent_of(child: Process, earlier: list[Process]) -> Process | None:
    """The process that it was before exec, else its parent, if that was recorded."""
    for process in reversed(earlier):
        if process.pid == child.pid and process.state != "ended":
            return process
    return next((other for other in reversed(earlier) if other.pid == child.parent_pid), None)


def _starts_in(process: Process) -> list[tuple[int, int]]:
    """(start, index of the track) of the calls in a process that start others."""
    for names in STARTERS:
        ids = {function.id for function in process.functions if function.name in names}
        found = [
            (start, index)
            for index, track in enumerate(process.tracks if ids else ())
            for batch in track.batches(ROWS, functions=ids)
            for start in batch.start_ns
        ]
        if found:
            return found
    return []
