"""Attributes for the topmost call span, where the root itself cannot be changed any more."""

from __future__ import annotations

from collections.abc import Mapping

from otrace.encoding_otlp import Block
from otrace_exporters.otlp.spans import SCOPE_SPANS_SPANS, SPAN_ATTRIBUTES
from otrace_exporters.otlp.wire import Value, key_value
from otrace_exporters.protobuf import bytes_field, fields, whole_fields

PARENT_SPAN_ID = 4


def with_attributes(
    blocks: list[Block], root_id: int, attributes: Mapping[str, Value]
) -> list[Block]:
    """The blocks with more attributes on the first span directly below the root.

    When there is none, on the first span of all.
    """
    if not blocks:
        return blocks
    wanted = root_id.to_bytes(8, "big")
    more = b"".join(key_value(SPAN_ATTRIBUTES, key, value) for key, value in attributes.items())
    for at, block in enumerate(blocks):
        data = _extended(block.data, wanted, more)
        if data is not None:
            return [*blocks[:at], Block(data, block.spans), *blocks[at + 1 :]]
    data = _extended(blocks[0].data, None, more)
    assert data is not None
    return [Block(data, blocks[0].spans), *blocks[1:]]


def _extended(data: bytes, parent: bytes | None, more: bytes) -> bytes | None:
    """`data` with `more` in its first span below `parent` (None: any); None when there is none."""
    before = 0
    for _, span, whole in whole_fields(data):
        assert isinstance(span, bytes)
        if parent is None or parent_of(span) == parent:
            longer = bytes_field(SCOPE_SPANS_SPANS, span + more)
            return data[:before] + longer + data[before + len(whole) :]
        before += len(whole)
    return None


def parent_of(span: bytes) -> bytes:
    """The parent's id of an encoded span."""
    for number, value in fields(span):
        if number == PARENT_SPAN_ID and isinstance(value, bytes):
            return value
    return b""
