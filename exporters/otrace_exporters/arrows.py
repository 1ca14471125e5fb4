"""Arrows from the calls that start processes to the first slices of those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from otrace.recording import Recording, Track

Place = TypeVar("Place")
"""How a format names a track."""


@dataclass(frozen=True, slots=True)
class Shown(Generic[Place]):
    """A track in the file."""

    track: Track
    place: Place
    first_ns: int | None
    """When its first slice began."""


@dataclass(frozen=True, slots=True)
class Arrow(Generic[Place]):
    """Both ends lie in slices that are open then. Times are after the recording's start."""

    id: int
    start: Place
    start_ns: int
    end: Place
    end_ns: int


def arrows(recording: Recording, tracks: list[Shown[Place]]) -> Iterator[Arrow[Place]]:
    """The arrows between the tracks of a file. Raises RecordingError."""
    if len(recording.processes) < 2:
        return
    from otrace.recording import births

    places = {id(shown.track): shown.place for shown in tracks}
    firsts: dict[int, tuple[int, Place]] = {}
    for shown in tracks:
        process = id(shown.track.process)
        if shown.first_ns is not None:
            first = (shown.first_ns, shown.place)
            firsts[process] = min(firsts.get(process, first), first, key=lambda pair: pair[0])
    for number, birth in enumerate(births(recording), 1):
        if id(birth.child) in firsts and id(birth.track) in places:
            end_ns, end = firsts[id(birth.child)]
            yield Arrow(number, places[id(birth.track)], birth.time_ns, end, end_ns)
