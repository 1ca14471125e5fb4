"""What the spans of processes and threads say: how the program ended, and what is missing."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace_exporters.otlp import selection
from otrace_exporters.otlp.wire import Value

if TYPE_CHECKING:
    from otrace.encoding_otlp import Part
    from otrace.recording import Process, Recording, Track


@dataclass(frozen=True)
class Totals:
    """What became of calls. calls = sent + collapsed + left_out."""

    calls: int = 0
    sent: int = 0
    collapsed: int = 0
    left_out: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.calls + other.calls,
            self.sent + other.sent,
            self.collapsed + other.collapsed,
            self.left_out + other.left_out,
        )


def totals_of(parts: Iterable[Part]) -> Totals:
    """The totals of threads in a window."""
    return sum(
        (Totals(part.calls, part.spans, part.collapsed_calls, part.left_out) for part in parts),
        Totals(),
    )


def totals_attributes(totals: Totals) -> dict[str, Value]:
    """For the root of a trace: what is in it, and what is not."""
    found: dict[str, Value] = {"otrace.total.calls": totals.calls}
    if totals.calls != totals.sent:
        found["otrace.total.collapsed"] = totals.collapsed
        found["otrace.total.left_out"] = totals.left_out
    return found


def program_name(recording: Recording) -> str:
    """The program, as the user named it."""
    name = (recording.manifest or {}).get("program")
    return name if isinstance(name, str) and name else recording.processes[0].name


def main_process(recording: Recording, processes: list[Process]) -> int:
    """The place of the process that the run was started as."""
    pid = (recording.manifest or {}).get("root_pid")
    for place, process in enumerate(processes):
        if process.pid == pid:
            return place
    return 0


def how_it_ended(recording: Recording) -> tuple[dict[str, Value], str | None]:
    """Attributes with the exit status or signal, and the error's message if it is one."""
    ended = (recording.manifest or {}).get("exit")
    if not isinstance(ended, Mapping):
        return {}, None
    status, number = ended.get("status"), ended.get("signal")
    if isinstance(number, int):
        name = signal_name(number)
        return {"otrace.exit.signal": name}, f"killed by {name}"
    if isinstance(status, int):
        return {"process.exit.code": status}, f"exit status {status}" if status else None
    return {}, None


def signal_name(number: int) -> str:
    """SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def process_attributes(process: Process) -> dict[str, Value]:
    """Losses of a process; nothing when there are none."""
    losses = process.losses
    found: dict[str, Value] = {"process.pid": process.pid}
    numbers = {
        "otrace.lost.calls": losses.calls,
        "otrace.lost.records": losses.records,
        "otrace.dropped.no_space": losses.dropped_no_space,
        "otrace.dropped.too_big": losses.dropped_too_big,
        "otrace.dropped.names": losses.dropped_names,
    }
    found.update({key: number for key, number in numbers.items() if number})
    if process.state != "ended":
        found["otrace.open"] = True
    return found


def thread_attributes(track: Track, part: Part, *, first: bool) -> dict[str, Value]:
    """A thread's span: who it is, and what of it is missing."""
    found = selection.thread_attributes(track)
    if part.left_out_here:
        found["otrace.left_out"] = part.left_out_here
    if first and track.loss is not None:
        found["otrace.lost.calls"] = track.loss.calls
        found["otrace.lost.records"] = track.loss.records
        found["otrace.lost.start_ns"] = track.loss.start_ns
        found["otrace.lost.end_ns"] = track.loss.end_ns
    if first and track.dropped_records:
        found["otrace.dropped.no_space"] = track.dropped_records
    return found
