"""Attributes as OTLP's wire format has them: AnyValue and KeyValue."""

from __future__ import annotations

import math

from otrace_exporters.protobuf import bytes_field, fixed64_field, number_field, text_field

Value = str | bool | int | float


def any_value(value: Value) -> bytes:
    """The inside of an AnyValue."""
    if isinstance(value, bool):
        return number_field(2, value)
    if isinstance(value, int):
        return (
            number_field(3, value) if -(1 << 63) <= value < 1 << 63 else text_field(1, str(value))
        )
    if isinstance(value, float) and math.isfinite(value):
        import struct

        return fixed64_field(4, int.from_bytes(struct.pack("<d", value), "little"))
    return text_field(1, str(value))


def key_value(field: int, key: str, value: Value) -> bytes:
    """A KeyValue in `field`."""
    return bytes_field(field, text_field(1, key) + bytes_field(2, any_value(value)))
