"""Which calls of a recording become spans: the budget, and the windows that are traces."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otrace.encoding_otlp import Part, SpanPlan
from otrace_exporters.otlp.spans import SPAN_ATTRIBUTES
from otrace_exporters.otlp.wire import Value, key_value

if TYPE_CHECKING:
    from otrace.recording import Process, Recording, Track
    from otrace_exporters.otlp.entries import Entries

WINDOWS_MAX = 100  # a longer run gets longer windows: memory is for all windows at once
SPANS_MAX = 500_000


@dataclass(frozen=True)
class Budget:
    """How much is sent."""

    max_spans: int
    """Spans of a trace, all kinds."""
    max_depth: int
    window_ns: int
    """A longer run is several traces; of a longer request the rest is other work again."""


@dataclass(frozen=True)
class Salts:
    """Random numbers that the ids of an export are made of."""

    calls: int
    requests: int


@dataclass
class Selection:
    """A recording whose calls have been chosen."""

    recording: Recording
    budget: Budget
    salts: Salts
    entries: Entries
    plan: SpanPlan
    windows: int
    window_ns: int
    processes: list[Process]
    numbers: dict[int, list[tuple[int, Track]]] = field(default_factory=dict)
    """Of each process (its place in `processes`): its tracks with their numbers in the plan."""
    unsent: list[Track] = field(default_factory=list)
    """Tracks that found no room in the budget."""
    first: int = 0
    """Windows before this one are not in the plan: they were sent before."""

    def window_at(self, ns: int) -> int:
        """The window of a time."""
        return min(max(ns, 0) // self.window_ns, self.windows - 1)

    def parts(self, window: int, process: int) -> list[tuple[int, Track, Part]]:
        """The tracks of a process that did anything in the window."""
        found = []
        for number, track in self.numbers[process]:
            part = self.plan.part(window - self.first, number)
            if part.calls or part.marks or part.marks_dropped:
                found.append((number, track, part))
        return found


def select(
    recording: Recording,
    budget: Budget,
    salts: Salts,
    entries: Entries,
    progress: Callable[[float], None],
) -> Selection:
    """Choose the calls of a recording. `progress` hears of 0.0 to 1.0."""
    windows, window_ns = windows_of(recording, budget)
    processes, tracks, unsent = fit(
        [(process, process.tracks) for process in recording.processes], budget.max_spans
    )
    own = len(processes) + sum(len(found) for found in tracks)
    plan = SpanPlan(
        max_spans=max(1, budget.max_spans - own),
        max_depth=budget.max_depth,
        windows=windows,
        window_ns=window_ns,
        tracks=own - len(processes),
        base_wall_ns=recording.start_wall_ns,
        salt=salts.calls,
        requests_salt=salts.requests,
    )
    selection = Selection(
        recording, budget, salts, entries, plan, windows, window_ns, processes, unsent=unsent
    )
    for index, found in enumerate(tracks):
        end_ns = process_end(processes[index])  # of calls that never ended
        kinds = entries.kinds_of(processes[index])
        selection.numbers[index] = [
            (add_track(plan, track, end_ns, kinds), track) for track in found
        ]
    choose(selection, progress)
    return selection


def choose(selection: Selection, progress: Callable[[float], None]) -> None:
    """Go over all tracks of the plan. `progress` hears of 0.0 to 1.0."""
    plan = selection.plan
    numbers = [number for found in selection.numbers.values() for number, _ in found]
    for done, number in enumerate(numbers):
        plan.measure(number)
        progress((done + 1) / len(numbers) / 2)
    plan.select()
    for done, number in enumerate(numbers):
        plan.collect(number)
        progress((done + 1) / len(numbers) / 2 + 0.5)
    plan.finish()


def add_track(plan: SpanPlan, track: Track, end_ns: int, kinds: bytes) -> int:
    """Add a track to a plan; returns its number. `kinds` says which functions are requests."""
    number = plan.add_track(
        track, end_ns if track.end_ns is None else track.end_ns, encode(thread_attributes(track))
    )
    if kinds:
        plan.set_requests(number, kinds, identity_of(track))
    return number


def identity_of(track: Track) -> int:
    """A number of the track's own in its recording, however often that is read."""
    name = f"{os.path.basename(track.process.path)}:{track.id}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def windows_of(recording: Recording, budget: Budget) -> tuple[int, int]:
    """How many windows, and how long they are, in ns."""
    duration = max(1, recording.duration_ns)
    if duration <= budget.window_ns:
        return 1, budget.window_ns
    most = max(2, min(WINDOWS_MAX, SPANS_MAX // budget.max_spans))
    window_ns = max(budget.window_ns, -(-duration // most))
    return -(-duration // window_ns), window_ns


def fit(
    processes: list[tuple[Process, list[Track]]], max_spans: int
) -> tuple[list[Process], list[list[Track]], list[Track]]:
    """Processes and their tracks as far as their own spans take at most half of the budget."""
    room = max(2, max_spans // 2)
    shown: list[Process] = []
    tracks: list[list[Track]] = []
    unsent: list[Track] = []
    for process, found in processes:
        if room < 1:
            unsent += found
            continue
        fitting = found[: room - 1]
        shown.append(process)
        tracks.append(fitting)
        unsent += found[len(fitting) :]
        room -= 1 + len(fitting)
    return shown, tracks, unsent


def process_end(process: Process) -> int:
    """When a process ended; of one that was killed or still runs, the last that was recorded."""
    if process.end_ns is not None:
        return process.end_ns
    last = [track.summary().last_ns for track in process.tracks]
    return max([process.start_ns, *(ns for ns in last if ns is not None)])


def thread_attributes(track: Track) -> dict[str, Value]:
    """What all spans of a thread carry."""
    return {"thread.id": track.os_tid or track.id, "thread.name": track.name}


def encode(attributes: Mapping[str, Value]) -> bytes:
    """Attributes as Span's field."""
    return b"".join(key_value(SPAN_ATTRIBUTES, key, value) for key, value in attributes.items())
