"""Reading the calls of one local trace out of this process's own ring."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otrace.encoding_capture import CapturePlan, tracks_in
from otrace.encoding_otlp import Block
from otrace.errors import RecorderError
from otrace.otel import ring
from otrace.recording import Recording
from otrace_exporters.otlp.selection import encode, thread_attributes

if TYPE_CHECKING:
    from otrace.otel.roots import LocalRoot
    from otrace.recording import Process, Track
    from otrace_exporters.otlp.wire import Value


CLOCK_READINGS = 5
NAMED_MISSING = 20
END_NOW_NS = 10_000_000  # an end longer ago was set by the program


@dataclass(frozen=True)
class Limits:
    """How much of a trace is shown."""

    max_spans: int = 5000
    max_depth: int = 256


@dataclass
class Capture:
    """The calls of a local trace."""

    trace_id: bytes
    blocks: list[Block]
    openers: dict[int, int]
    """Of a span: the id of the call that opened it."""
    facts: dict[str, Value] = field(default_factory=dict)
    """Attributes for the root."""

    @property
    def spans(self) -> int:
        """How many spans."""
        return sum(block.spans for block in self.blocks)


def read(
    root: LocalRoot, end_mono_ns: int, end_wall_ns: int, limits: Limits, state: bytes
) -> Capture:
    """The calls below the spans of `root`, which was told to have ended on both clocks.

    Raises RecorderError when this process is not recorded, RecordingError when the ring cannot be
    read.
    """
    path = ring.segment()
    if path is None:
        raise RecorderError("this process does not record any more")
    recording = Recording.open(path)
    process = recording.processes[0]
    base = recording.start_mono_ns
    wall = wall_clock()  # of now: it may have been set since the recording began
    start, end = root.start_ns - base, end_mono_ns - base
    if 0 <= end_mono_ns - (end_wall_ns - wall) < END_NOW_NS:
        end = end_wall_ns - wall - base
    tracks = tracks_in(process, start, end)
    plan = CapturePlan(
        root.spans,
        start_ns=start,
        end_ns=end,
        base_mono_ns=base,
        base_wall_ns=base + wall,
        max_spans=max(1, limits.max_spans - len(root.spans)),
        max_depth=limits.max_depth,
        tracks=len(tracks),
        salt=secrets.randbits(64),
    )
    for track in tracks:
        plan.add_track(track, end, encode(thread_attributes(track)))
    for number in range(len(tracks)):
        plan.measure(number)
    plan.select()
    for number in range(len(tracks)):
        plan.collect(number)
    plan.finish()
    trace_id = root.trace_id.to_bytes(16, "big")
    numbers = [number for number in range(len(tracks)) if plan.part(0, number).calls]
    return Capture(
        trace_id,
        [block for number in numbers for block in plan.blocks(0, number, trace_id, state)],
        plan.openers(),
        {**_facts(plan, numbers, tracks, start), **_missing(process, start, end)},
    )


def wall_clock() -> int:
    """Nanoseconds from CLOCK_MONOTONIC to the wall clock, by the tightest of some readings."""
    tightest, offset = 1 << 62, 0
    for _ in range(CLOCK_READINGS):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after - before < tightest:
            tightest, offset = after - before, wall - (before + after) // 2
    return offset


def _facts(
    plan: CapturePlan, numbers: list[int], tracks: list[Track], start: int
) -> dict[str, Value]:
    parts = [plan.part(0, number) for number in numbers]
    facts: dict[str, Value] = {"otrace.total.calls": sum(part.calls for part in parts)}
    collapsed = sum(part.collapsed_calls for part in parts)
    left_out = sum(part.left_out for part in parts)
    if collapsed or left_out:
        facts["otrace.total.collapsed"] = collapsed
        facts["otrace.total.left_out"] = left_out
    losses = [track.loss for track in [tracks[number] for number in numbers] or tracks]
    lost = [loss.end_ns - start for loss in losses if loss is not None and loss.end_ns > start]
    if lost:
        facts["otrace.lost.ns"] = max(lost)
    return facts


def _missing(process: Process, start: int, end: int) -> dict[str, Value]:
    """Functions whose calls are not shown, because they were switched off meanwhile."""
    off = [function for function in process.switched_off if function.overlaps(start, end)]
    if not off:
        return {}
    off.sort(key=lambda function: -function.calls)
    named = [f"{one.function.name} ({one.calls} calls before)" for one in off[:NAMED_MISSING]]
    return {"otrace.switched_off": len(off), "otrace.switched_off.functions": ", ".join(named)}
