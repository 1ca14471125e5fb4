"""The W3C trace context that a process was started in: TRACEPARENT and TRACESTATE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STATE_MAX = 512


@dataclass(frozen=True)
class ParentContext:
    """The span that a process belongs below."""

    trace_id: bytes
    span_id: bytes
    state: str


def parent_from(notes: Mapping[str, str]) -> ParentContext | None:
    """The context in what was noted of the environment; None when there is none or it is not valid.

    An unsampled parent is joined too: the recording was asked for.
    """
    parts = notes.get("TRACEPARENT", "").strip().split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    version, trace, span, _ = parts[:4]
    if version == "ff" or (version == "00" and len(parts) != 4):
        return None
    if not all(is_hexadecimal(part) for part in parts[:4]):
        return None
    trace_id, span_id = bytes.fromhex(trace), bytes.fromhex(span)
    if not any(trace_id) or not any(span_id):
        return None
    state = notes.get("TRACESTATE", "").strip()
    return ParentContext(trace_id, span_id, state if is_state(state) else "")


def is_hexadecimal(text: str) -> bool:
    """Whether it is written in lower-case hexadecimal digits, as the standard wants it."""
    return all(character in "0123456789abcdef" for character in text)


def is_state(text: str) -> bool:
    """Whether it can be handed on."""
    return len(text) <= STATE_MAX and text.isascii() and text.isprintable()
