"""Spans and attributes, against the classes that protobuf's compiler makes."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otrace_exporters.otlp import wire
from otrace_exporters.otlp.spans import OwnSpan, Trace
from otrace_exporters.otlp.transport import read_partial_success
from otrace_exporters.protobuf import fields

INT64 = 1 << 63


def field_of(data: bytes) -> bytes:
    ((number, content),) = fields(data)
    assert isinstance(content, bytes)
    assert number > 0
    return content


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("text", "string_value", "text"),
        ("é😀", "string_value", "é😀"),
        ("a\udc80b", "string_value", "a\\udc80b"),
        (True, "bool_value", True),
        (False, "bool_value", False),
        (0, "int_value", 0),
        (-1, "int_value", -1),
        (INT64 - 1, "int_value", INT64 - 1),
        (-INT64, "int_value", -INT64),
        (INT64, "string_value", str(INT64)),
        (0.5, "double_value", 0.5),
        (float("nan"), "string_value", "nan"),
        (float("inf"), "string_value", "inf"),
    ],
)
def test_values(value: wire.Value, kind: str, shown: object) -> None:
    decoded = KeyValue.FromString(field_of(wire.key_value(9, "key", value)))
    assert decoded.key == "key"
    assert decoded.value.WhichOneof("value") == kind
    assert getattr(decoded.value, kind) == shown


def test_a_span_of_every_field() -> None:
    trace, other = Trace(bytes(range(16)), "vendor=x"), Trace(bytes(range(1, 17)))
    span = OwnSpan(
        name="app.py",
        id=b"12345678",
        parent_id=b"87654321",
        start_ns=1_795_000_000_000_000_001,
        end_ns=1_795_000_000_000_000_005,
        attributes={"a": 1, "b": "two"},
        remote_parent=True,
        dropped_events=3,
        error="exit status 1",
        link=(other, b"abcdefgh"),
    )
    decoded = Span.FromString(field_of(span.encode(trace)))
    assert (decoded.trace_id, decoded.span_id) == (trace.id, b"12345678")
    assert (decoded.parent_span_id, decoded.trace_state) == (b"87654321", "vendor=x")
    assert (decoded.name, decoded.kind) == ("app.py", Span.SPAN_KIND_INTERNAL)
    assert decoded.end_time_unix_nano - decoded.start_time_unix_nano == 4
    assert [entry.key for entry in decoded.attributes] == ["a", "b"]
    assert decoded.dropped_events_count == 3
    assert decoded.flags == 0x301
    assert (decoded.links[0].trace_id, decoded.links[0].span_id) == (other.id, b"abcdefgh")
    assert decoded.status.code == Status.STATUS_CODE_ERROR
    assert decoded.status.message == "exit status 1"


def test_a_root_without_a_time_of_its_own() -> None:
    span = OwnSpan("x", b"12345678", b"", start_ns=10, end_ns=10, attributes={})
    decoded = Span.FromString(field_of(span.encode(Trace(bytes(range(16))))))
    assert decoded.parent_span_id == b""
    assert decoded.end_time_unix_nano == 11  # a receiver complains about spans without duration
    assert decoded.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize("data", [b"\x80", b"\x0a\x05ab", b"\x09abc", b"\x0b", b"\xff" * 11])
def test_broken_messages_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|not known"):
        list(fields(data))
    assert read_partial_success(data) == (0, "")
