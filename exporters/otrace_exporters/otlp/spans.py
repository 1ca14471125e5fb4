"""Spans of the exporter's own: processes and threads. Calls are encoded natively."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otrace_exporters.otlp.wire import Value, key_value
from otrace_exporters.protobuf import (
    bytes_field,
    fixed32_field,
    fixed64_field,
    number_field,
    text_field,
)

SCOPE_SPANS_SPANS = 2
SPAN_ATTRIBUTES = 9
SPAN_EVENTS = 11
KIND_INTERNAL = 1
STATUS_ERROR = 2
SAMPLED, REMOTE_IS_KNOWN, REMOTE = 0x1, 0x100, 0x200


@dataclass(frozen=True)
class Trace:
    """A trace: 16 bytes of id, and its W3C trace state."""

    id: bytes
    state: str = ""


def encode_link(trace: Trace, span_id: bytes) -> bytes:
    """A link to a span, as Span's field `links`."""
    flags = fixed32_field(6, SAMPLED | REMOTE_IS_KNOWN)
    return bytes_field(13, bytes_field(1, trace.id) + bytes_field(2, span_id) + flags)


@dataclass
class OwnSpan:
    """A span of a process's or a thread's work. Times are in nanoseconds since the epoch."""

    name: str
    id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    remote_parent: bool = False
    events: bytes = b""
    """Encoded, as Span's field `events`."""
    dropped_events: int = 0
    error: str | None = None
    """Status ERROR with this message."""
    link: tuple[Trace, bytes] | None = None
    """A span of another trace that belongs to this one."""

    def encode(self, trace: Trace) -> bytes:
        """The span as ScopeSpans' field `spans`."""
        parts = [bytes_field(1, trace.id), bytes_field(2, self.id)]
        if trace.state:
            parts.append(text_field(3, trace.state))
        if self.parent_id:
            parts.append(bytes_field(4, self.parent_id))
        parts += [
            text_field(5, self.name),
            number_field(6, KIND_INTERNAL),
            fixed64_field(7, self.start_ns),
            fixed64_field(8, max(self.start_ns + 1, self.end_ns)),
        ]
        for key, value in self.attributes.items():
            parts.append(key_value(SPAN_ATTRIBUTES, key, value))
        parts.append(self.events)
        if self.dropped_events:
            parts.append(number_field(12, self.dropped_events))
        if self.link is not None:
            parts.append(encode_link(*self.link))
        if self.error is not None:
            parts.append(bytes_field(15, text_field(2, self.error) + number_field(3, STATUS_ERROR)))
        flags_set = SAMPLED | REMOTE_IS_KNOWN | (REMOTE if self.remote_parent else 0)
        parts.append(fixed32_field(16, flags_set))
        return bytes_field(SCOPE_SPANS_SPANS, b"".join(parts))
