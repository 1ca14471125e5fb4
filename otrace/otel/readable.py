"""Captured calls as spans of the SDK, for exporters that take nothing else; and changed copies."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otrace import __version__

if TYPE_CHECKING:
    from otrace.otel.outbox import Parcel

SCOPE = InstrumentationScope("otrace", __version__)


def readable_spans(parcel: Parcel) -> Iterator[ReadableSpan]:
    """The spans of a parcel, decoded from what the fast way would send."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    trace_id = int.from_bytes(parcel.capture.trace_id, "big")
    flags = TraceFlags(TraceFlags.SAMPLED if parcel.sampled else TraceFlags.DEFAULT)
    for block in parcel.capture.blocks:
        for span in ScopeSpans.FromString(block.data).spans:
            yield ReadableSpan(
                name=span.name,
                context=_context(trace_id, span.span_id, flags),
                parent=_context(trace_id, span.parent_span_id, flags),
                resource=parcel.resource,
                attributes=_attributes(span.attributes),
                events=[
                    Event(event.name, _attributes(event.attributes), event.time_unix_nano)
                    for event in span.events
                ],
                kind=SpanKind.INTERNAL,
                status=Status(StatusCode.ERROR) if span.status.code else Status(StatusCode.UNSET),
                start_time=span.start_time_unix_nano,
                end_time=span.end_time_unix_nano,
                instrumentation_scope=SCOPE,
            )


def _context(trace_id: int, span_id: bytes, flags: TraceFlags) -> SpanContext:
    return SpanContext(trace_id, int.from_bytes(span_id, "big"), is_remote=False, trace_flags=flags)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def as_sampled(span: ReadableSpan) -> ReadableSpan:
    """A copy of an ended span that exporting processors take. Its parent's flags stay."""
    other = copy.copy(span)
    context = span.context
    if context is not None:
        other._context = SpanContext(
            context.trace_id,
            context.span_id,
            context.is_remote,
            TraceFlags(context.trace_flags | TraceFlags.SAMPLED),
            context.trace_state,
        )
    return other


def changed(
    span: ReadableSpan, parent_id: int | None, attributes: Mapping[str, Any]
) -> ReadableSpan:
    """A copy of an ended span with another parent of the same trace, and more attributes."""
    other = copy.copy(span)
    context = span.context
    if parent_id is not None and context is not None:
        other._parent = SpanContext(
            context.trace_id,
            parent_id,
            is_remote=False,
            trace_flags=context.trace_flags,
            trace_state=context.trace_state,
        )
    if attributes:
        other._attributes = {**(span.attributes or {}), **attributes}
    return other
