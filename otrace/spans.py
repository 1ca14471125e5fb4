"""The program's own OpenTelemetry spans, noted in the recording when they end.

The recorder calls `attach` when a tracer provider of the SDK is asked for a tracer. Nobody else
imports this before the program has imported OpenTelemetry's SDK itself.
"""

from __future__ import annotations

import sys
import weakref
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor

from otrace._events import note_span_end

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

HALF = (1 << 64) - 1
OK, ERROR, SAMPLED = 8, 16, 32
NOTED = "_otrace_noted"

_providers: weakref.WeakSet[Any] = weakref.WeakSet()


class SpanRecorder(SpanProcessor):
    """Notes each span that ends. Its methods are its own: the SDK's would be recorded as calls."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is known of a span yet."""

    def _on_ending(self, span: Span) -> None:
        """It may still change."""

    def on_end(self, span: ReadableSpan) -> None:
        """Note it."""
        note_end(span)

    def shutdown(self) -> None:
        """Nothing waits."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        return True


def attach(provider: Any) -> None:
    """Note the spans of this tracer provider from now on. Once is enough."""
    if provider not in _providers:
        _providers.add(provider)
        provider.add_span_processor(SpanRecorder())


def attach_global() -> None:
    """The same for the provider that the program has set already, if it has."""
    provider = getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None)
    if hasattr(provider, "add_span_processor"):
        attach(provider)


def note_end(span: ReadableSpan) -> None:
    """Note an ended span; once, however many processors do. Never raises.

    Reads the fields beneath the SDK's properties, whose calls would be recorded.
    """
    try:
        fields = span.__dict__
        if NOTED in fields:
            return
        fields[NOTED] = True
        now = time_ns()
        context, parent, status = fields["_context"], fields["_parent"], fields["_status"]
        code = status.__dict__["_status_code"]._value_
        trace_id = context[0]
        note_span_end(
            context[1],
            trace_id >> 64,
            trace_id & HALF,
            0 if parent is None else parent[1],
            max(0, now - fields["_start_time"]),
            max(0, now - fields["_end_time"]),
            fields["_kind"]._value_ | (0, OK, ERROR)[code] | (SAMPLED if context[3] & 1 else 0),
            fields["_name"],
            _attributes(fields, status) if code == 2 else _dict(fields["_attributes"]),
        )
    except Exception:  # a span of another make: it is not shown
        return


def _dict(attributes: Any) -> Any:
    return attributes if attributes is None else attributes.__dict__.get("_dict", attributes)


def _attributes(fields: dict[str, Any], status: Any) -> dict[str, Any]:
    """With what went wrong: the status's description, the first exception's type and message."""
    found: dict[str, Any] = {}
    if status.description:
        found["otel.status_description"] = status.description
    for event in fields["_events"]:
        if event.name == "exception":
            names = ("exception.type", "exception.message")
            found.update({name: event.attributes[name] for name in names})
            break
    return {**found, **(_dict(fields["_attributes"]) or {})}
