"""Lags of event loops (`--loop-lag`) as marks and counters of a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace_exporters.perfetto_packets import (
    COUNTER,
    INSTANT,
    annotation,
    at,
    event,
    named,
    packet,
    track,
)
from otrace_exporters.protobuf import bytes_field, number_field, text_field

if TYPE_CHECKING:
    from otrace.recording import Process, Recording
    from otrace.recording.process import Track

NAMES = {"callback": "slow callback", "loop": "loop blocked"}
CATEGORY = "loop"
STATELESS = number_field(13, 1)  # a Perfetto packet of a sequence that keeps no state
MONOTONIC = number_field(58, 3)  # its time is on CLOCK_MONOTONIC


@dataclass(frozen=True, slots=True)
class LagMark:
    """A mark on a thread's track, at the lag's start."""

    track: Track
    name: str
    time_ns: int
    args: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class LagValue:
    """A value of a thread's counter: the µs that its loop is blocked for, from here on."""

    track: Track
    time_ns: int
    blocked_us: int


def lags_of(process: Process, recording: Recording) -> Iterator[LagMark | LagValue]:
    """What is to show of a process, if `--loop-lag` was given. Raises RecordingError."""
    from otrace.recording.loops import loop_lags, threshold_of

    threshold = threshold_of(recording)
    if threshold == 0:
        return
    names = {task.id: task.name for task in process.tasks}
    for lag in loop_lags(process, threshold):
        us = lag.duration_ns // 1000
        args: dict[str, int | str] = {"blocked_us": us}
        if lag.task is not None:
            args["task"] = names.get(lag.task, f"task {lag.task}")
        yield LagMark(lag.track, NAMES[lag.kind], lag.start_ns, args)
        if lag.kind == "loop":
            yield LagValue(lag.track, lag.start_ns, us)
            yield LagValue(lag.track, lag.start_ns + lag.duration_ns, 0)


def counter_name(track: Track) -> str:
    """The counter of a thread's loop."""
    return f"loop lag: {track.name}"


def chrome_row(item: LagMark | LagValue, pid: int, tid: int, ts: float) -> dict[str, object]:
    """A row of a Chrome trace."""
    common = {"cat": CATEGORY, "pid": pid, "tid": tid, "ts": ts}
    if isinstance(item, LagMark):
        return {"ph": "i", "s": "t", "name": item.name, **common, "args": item.args}
    return {"ph": "C", "name": counter_name(item.track), **common, "args": {"µs": item.blocked_us}}


def perfetto_counter(thread: Track, uuid: int, process_uuid: int, sequence: int) -> bytes:
    """The packet that describes a thread's counter."""
    counter = bytes_field(8, text_field(6, "µs"))
    return packet(sequence, STATELESS + track(uuid, counter_name(thread), process_uuid, counter))


def perfetto_packet(item: LagMark | LagValue, uuid: int, sequence: int, mono_ns: int) -> bytes:
    """An event on a track: the thread's, or its counter's."""
    if isinstance(item, LagMark):
        args = b"".join(annotation(name, value) for name, value in item.args.items())
        shown = event(INSTANT, uuid, named(CATEGORY, item.name) + args)
    else:
        shown = event(COUNTER, uuid, number_field(30, item.blocked_us))
    return packet(sequence, STATELESS + at(mono_ns) + MONOTONIC + shown)
