"""Parts of a recording that grows: one window of time, in ticks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otrace.encoding_otlp import SpanPlan
from otrace_exporters.otlp.selection import (
    Budget,
    Salts,
    Selection,
    add_track,
    choose,
    fit,
    process_end,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otrace.recording import Process, Recording, Track
    from otrace_exporters.otlp.entries import Entries
    from otrace_exporters.otlp.wire import Value


BITS_MOST = 1 << 20  # bytes of them


@dataclass(frozen=True)
class Part:
    """A window: its number, its time, and that in the ticks of each clock."""

    window: int
    from_ns: int
    until_ns: int | None
    """None: to the end of the recording."""
    from_ticks: Mapping[str, int]
    until_ticks: Mapping[str, int]
    """Ticks do not change from reading to reading, as times do with a clock that is fitted."""


def open_recording(path: str) -> Recording | None:
    """The recording as it is now; None: nothing is recorded yet. Raises RecordingError."""
    from otrace.recording import Recording

    if not any(name.endswith(".segment") for name in os.listdir(path)):
        return None
    return Recording.open(path)


def select_part(
    recording: Recording, budget: Budget, salts: Salts, entries: Entries, part: Part
) -> Selection:
    """Choose the calls that begin in a part; those that go on behind it end with it, open."""
    from otrace_exporters.otlp import facts

    main = recording.processes[facts.main_process(recording, recording.processes)]
    shown = [
        (process, [track for track in process.tracks if is_there(track, part)])
        for process in recording.processes
        if process is main or is_there(process, part)
    ]
    processes, tracks, unsent = fit(shown, budget.max_spans)
    count = sum(len(found) for found in tracks)
    plan = SpanPlan(
        max_spans=max(1, budget.max_spans - len(processes) - count),
        max_depth=budget.max_depth,
        windows=1,
        window_ns=budget.window_ns,
        tracks=count,
        base_wall_ns=recording.start_wall_ns,
        salt=salts.calls,
        requests_salt=salts.requests,
    )
    selection = Selection(
        recording,
        budget,
        salts,
        entries,
        plan,
        part.window + 1,
        budget.window_ns,
        processes,
        unsent=unsent,
        first=part.window,
    )
    for place, found in enumerate(tracks):
        process = processes[place]
        end_ns = process_end(process) if part.until_ns is None else part.until_ns
        kinds = entries.kinds_of(process)
        selection.numbers[place] = []
        for track in found:
            number = add_track(plan, track, end_ns, kinds)
            plan.set_range(
                number,
                part.from_ticks.get(process.clock, 0),
                part.until_ticks[process.clock],
                leave_open=part.until_ns is not None,
            )
            selection.numbers[place].append((number, track))
    choose(selection, lambda done: None)
    return selection


def is_there(lived: Process | Track, part: Part) -> bool:
    """Whether a process or thread lived in the part."""
    begun = part.until_ns is None or lived.start_ns < part.until_ns
    return begun and (lived.end_ns is None or lived.end_ns >= part.from_ns)


class Marks:
    """A set of small numbers, in a bit for each: of all threads that a process ever had."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._large: set[int] = set()  # which only a damaged segment has

    def add(self, number: int) -> None:
        """Mark it."""
        at = number >> 3
        if at >= BITS_MOST:
            self._large.add(number)
            return
        if at >= len(self._bits):
            self._bits += bytes(at + 1 - len(self._bits))
        self._bits[at] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        if at >= len(self._bits):
            return number in self._large
        return bool(self._bits[at] >> (number & 7) & 1)


@dataclass
class LostUnsent:
    """What the buffer overwrote before it was sent."""

    calls: int = 0
    _known: dict[tuple[str, int], int] = field(default_factory=dict)

    def look(self, recording: Recording, from_ns: int) -> None:
        """Count what is lost of the time from `from_ns` on, by the calls lost since last time."""
        for process in recording.processes:
            for track in process.tracks:
                if track.loss is None:
                    continue
                place = process.path, track.id
                if track.loss.end_ns > from_ns:
                    self.calls += track.loss.calls - self._known.get(place, 0)
                self._known[place] = track.loss.calls

    def attributes(self) -> dict[str, Value]:
        """For the run's span; nothing when nothing was lost."""
        return {"otrace.lost.calls": self.calls} if self.calls else {}
