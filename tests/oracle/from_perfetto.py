"""The normal form from a Perfetto trace, through the protobuf classes of the `perfetto` package."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb  # type: ignore[import-untyped]

from .compare import Call, Track

CLEARED = 1  # TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
NEEDED = 2  # TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
CALL_CATEGORIES = ("python", "c")
DEEPER = re.compile(r".* \(deeper, \d+\)", re.DOTALL)  # calls too deep for their thread's track
INTERNED = (
    "event_categories",
    "event_names",
    "debug_annotation_names",
    "debug_annotation_string_values",
    "source_locations",
)


@dataclass
class _Sequence:
    """The incremental state of one packet sequence."""

    valid: bool = False
    interned: dict[str, dict[int, Any]] = field(default_factory=lambda: {n: {} for n in INTERNED})
    clocks: dict[int, int] = field(default_factory=dict)  # incremental clock → its time in ns
    units: dict[int, int] = field(default_factory=dict)
    defaults: Any = None


@dataclass
class _Event:
    time: int
    begin: bool
    name: str | None = None
    category: str | None = None
    annotations: dict[str, Any] = field(default_factory=dict)


def load(path: Path) -> list[Track]:
    """The thread tracks with calls on them, in the order of their first events."""
    trace = pb.Trace()
    trace.ParseFromString(path.read_bytes())
    sequences: dict[int, _Sequence] = {}
    names: dict[int, str] = {}
    threads: dict[int, int] = {}  # by a deeper track
    events: dict[int, list[_Event]] = {}
    for packet in _packets(trace):
        sequence = sequences.setdefault(packet.trusted_packet_sequence_id, _Sequence())
        _update(sequence, packet)
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            names[descriptor.uuid] = descriptor.thread.thread_name or descriptor.name
            if DEEPER.fullmatch(descriptor.name):
                threads[descriptor.uuid] = descriptor.parent_uuid
        if packet.HasField("track_event"):
            event = packet.track_event
            if event.type in (event.TYPE_SLICE_BEGIN, event.TYPE_SLICE_END):
                uuid = _track(sequence, event)
                assert uuid in names, f"an event of track {uuid}, which was not described before"
                events.setdefault(threads.get(uuid, uuid), []).append(_event(sequence, packet))
    return [
        Track(names[uuid], calls) for uuid, found in events.items() if (calls := _nested(found))
    ]


def _packets(trace: Any) -> Iterator[Any]:
    for packet in trace.packet:
        if packet.HasField("compressed_packets"):
            inner = pb.Trace()
            inner.ParseFromString(zlib.decompress(packet.compressed_packets))
            yield from _packets(inner)
        else:
            yield packet


def _update(sequence: _Sequence, packet: Any) -> None:
    if packet.sequence_flags & CLEARED:
        sequence.__init__()  # type: ignore[misc]
        sequence.valid = True
    if packet.sequence_flags & NEEDED:
        assert sequence.valid, "a packet needs incremental state that was never begun"
    if packet.HasField("trace_packet_defaults"):
        sequence.defaults = packet.trace_packet_defaults
    for table in INTERNED:
        for entry in getattr(packet.interned_data, table):
            sequence.interned[table][entry.iid] = entry
    for clock in packet.clock_snapshot.clocks:
        if clock.is_incremental:
            sequence.units[clock.clock_id] = clock.unit_multiplier_ns or 1
            sequence.clocks[clock.clock_id] = clock.timestamp * (clock.unit_multiplier_ns or 1)


def _time(sequence: _Sequence, packet: Any) -> int:
    clock: int = packet.timestamp_clock_id
    if not clock and sequence.defaults is not None:
        clock = sequence.defaults.timestamp_clock_id
    if clock in sequence.clocks:
        sequence.clocks[clock] += packet.timestamp * sequence.units[clock]
        return sequence.clocks[clock]
    return int(packet.timestamp)


def _track(sequence: _Sequence, event: Any) -> int:
    if event.HasField("track_uuid"):
        return int(event.track_uuid)
    assert sequence.defaults is not None, "an event without a track"
    return int(sequence.defaults.track_event_defaults.track_uuid)


def _event(sequence: _Sequence, packet: Any) -> _Event:
    event = packet.track_event
    result = _Event(_time(sequence, packet), event.type == event.TYPE_SLICE_BEGIN)
    if event.HasField("name"):
        result.name = event.name
    elif event.name_iid:
        result.name = sequence.interned["event_names"][event.name_iid].name
    for iid in event.category_iids:
        result.category = sequence.interned["event_categories"][iid].name
    for category in event.categories:
        result.category = category
    for annotation in event.debug_annotations:
        name = annotation.name
        if annotation.name_iid:
            name = sequence.interned["debug_annotation_names"][annotation.name_iid].name
        result.annotations[name] = _value(sequence, annotation)
    location = None
    if event.HasField("source_location"):
        location = event.source_location
    elif event.source_location_iid:
        location = sequence.interned["source_locations"][event.source_location_iid]
    if location is not None:
        result.annotations.update(file=location.file_name, line=location.line_number)
    return result


def _value(sequence: _Sequence, annotation: Any) -> Any:
    kind = annotation.WhichOneof("value")
    if kind == "string_value_iid":
        table = sequence.interned["debug_annotation_string_values"]
        return table[annotation.string_value_iid].str.decode("utf-8")
    return getattr(annotation, kind) if kind else None


def _nested(events: list[_Event]) -> list[Call]:
    """Pair begins and ends by nesting, in the order of time (the file's order where equal)."""
    events.sort(key=lambda event: event.time)
    calls: list[Call] = []
    begun: list[tuple[_Event, int | None]] = []  # with its place in `calls` if it is a call
    depth = 0
    for event in events:
        if event.begin:
            place = len(calls) if event.category in CALL_CATEGORIES else None
            if place is not None:
                calls.append(_call(depth, event, "open", {}))
                depth += 1
            begun.append((event, place))
        else:
            assert begun, f"an end at {event.time} without a begin"
            begin, place = begun.pop()
            if place is not None:
                depth -= 1
                calls[place] = _call(depth, begin, "return", event.annotations)
    return calls


def _call(depth: int, begin: _Event, ended: str, at_end: dict[str, Any]) -> Call:
    annotations = {**begin.annotations, **at_end}
    ended = annotations.get("ended", ended)
    assert begin.name is not None, "a slice without a name"
    return Call(
        depth,
        begin.name,
        str(begin.category),
        ended,
        # What was thrown into a call that was not left by an exception is not compared.
        annotations.get("exception") if ended == "unwind" else None,
        annotations.get("file"),
        annotations.get("line"),
    )
