"""TRACEPARENT and the resource's variables."""

from __future__ import annotations

import pytest

from otrace_exporters.otlp.context import parent_from
from otrace_exporters.otlp.resource import parse_attributes, service_name

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "text", [f"00-{TRACE}-{SPAN}-01", f" 00-{TRACE}-{SPAN}-00 ", f"cc-{TRACE}-{SPAN}-01-later"]
)
def test_a_parent_is_joined(text: str) -> None:
    parent = parent_from({"TRACEPARENT": text, "TRACESTATE": "a=1,b=2"})
    assert parent is not None
    assert (parent.trace_id.hex(), parent.span_id.hex(), parent.state) == (TRACE, SPAN, "a=1,b=2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}é-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
    ],
)
def test_what_is_no_parent_is_left_alone(text: str) -> None:
    assert parent_from({"TRACEPARENT": text}) is None


def test_a_state_that_cannot_be_sent_is_dropped() -> None:
    parent = parent_from({"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "a=é"})
    assert parent is not None
    assert parent.state == ""


def test_resource_attributes() -> None:
    assert parse_attributes("a=1, b = x%2Cy ,broken,=no,c=") == {"a": "1", "b": "x,y", "c": ""}


@pytest.mark.parametrize(
    ("environment", "given", "name"),
    [
        ({}, "", "unknown_service:app.py"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "", "a"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, "", "b"),
        ({"OTEL_SERVICE_NAME": "b"}, "c", "c"),
    ],
)
def test_the_name_of_the_service(environment: dict[str, str], given: str, name: str) -> None:
    assert service_name("app.py", environment, given) == name
