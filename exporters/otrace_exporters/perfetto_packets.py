"""Perfetto's packets, for those few that are written in Python.

Field numbers are those of Perfetto's trace_packet.proto, track_descriptor.proto, track_event.proto
and debug_annotation.proto.
"""

from __future__ import annotations

from otrace_exporters.protobuf import bytes_field, number_field, text_field

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4  # types of events


def packet(sequence: int, content: bytes) -> bytes:
    """A packet, as a field of the trace."""
    return bytes_field(1, number_field(10, sequence) + content)


def at(time_ns: int) -> bytes:
    """A packet's time, on the trace's clock unless the packet names another."""
    return number_field(8, time_ns)


def track(uuid: int, name: str, parent: int, more: bytes = b"") -> bytes:
    """A packet's description of a track below another one."""
    head = number_field(1, uuid) + number_field(5, parent)
    return bytes_field(60, head + text_field(2, name) + more)


def event(kind: int, uuid: int, more: bytes = b"") -> bytes:
    """A packet's event on a track."""
    return bytes_field(11, number_field(9, kind) + number_field(11, uuid) + more)


def named(category: str, name: str) -> bytes:
    """What an event is called."""
    return text_field(22, category) + text_field(23, name)


def annotation(name: str, value: bool | int | str) -> bytes:
    """An argument of an event. Numbers are of 64 bits."""
    told = text_field(10, name)
    if isinstance(value, bool):
        told += number_field(2, int(value))
    elif isinstance(value, int):
        told += number_field(4, value)
    else:
        told += text_field(6, value)
    return bytes_field(4, told)
