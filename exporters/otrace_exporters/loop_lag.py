"""Lags of event loops (`--loop-lag`) as marks and counters of a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace_exporters.protobuf import bytes_field, number_field, text_field

if TYPE_CHECKING:
    from otrace.recording import Process, Recording
    from otrace.recording.process import Track

NAMES = {"callback": "slow callback", "loop": "loop blocked"}
CATEGORY = "loop"
# Perfetto's fields and values.
PACKET, SEQUENCE_CLEARED, CLOCK_MONOTONIC = 1, 1, 3
TIMESTAMP, SEQUENCE, EVENT, SEQUENCE_FLAGS, CLOCK, DESCRIPTOR = 8, 10, 11, 13, 58, 60
ANNOTATION, TYPE, EVENT_TRACK, EVENT_CATEGORY, EVENT_NAME, COUNTER_VALUE = 4, 9, 11, 22, 23, 30
ANNOTATION_INT, ANNOTATION_TEXT, ANNOTATION_NAME = 4, 6, 10
INSTANT, COUNTER = 3, 4
UUID, TRACK_NAME, PARENT, COUNTER_TRACK, UNIT_NAME = 1, 2, 5, 8, 6


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


def perfetto_counter(track: Track, uuid: int, process_uuid: int, sequence: int) -> bytes:
    """The packet that describes a thread's counter."""
    descriptor = (
        number_field(UUID, uuid)
        + number_field(PARENT, process_uuid)
        + text_field(TRACK_NAME, counter_name(track))
        + bytes_field(COUNTER_TRACK, text_field(UNIT_NAME, "µs"))
    )
    return packet(sequence, bytes_field(DESCRIPTOR, descriptor))


def perfetto_packet(item: LagMark | LagValue, uuid: int, sequence: int, mono_ns: int) -> bytes:
    """An event on a track: the thread's, or its counter's."""
    event = number_field(EVENT_TRACK, uuid)
    if isinstance(item, LagMark):
        event += number_field(TYPE, INSTANT)
        event += text_field(EVENT_CATEGORY, CATEGORY) + text_field(EVENT_NAME, item.name)
        for name, value in item.args.items():
            annotation = text_field(ANNOTATION_NAME, name)
            if isinstance(value, int):
                annotation += number_field(ANNOTATION_INT, value)
            else:
                annotation += text_field(ANNOTATION_TEXT, value)
            event += bytes_field(ANNOTATION, annotation)
    else:
        event += number_field(TYPE, COUNTER) + number_field(COUNTER_VALUE, item.blocked_us)
    head = number_field(TIMESTAMP, mono_ns) + number_field(CLOCK, CLOCK_MONOTONIC)
    return packet(sequence, head + bytes_field(EVENT, event))


def packet(sequence: int, content: bytes) -> bytes:
    """A packet of a sequence that keeps no state."""
    head = number_field(SEQUENCE, sequence) + number_field(SEQUENCE_FLAGS, SEQUENCE_CLEARED)
    return bytes_field(PACKET, head + content)
