from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otrace.encoding_otlp import Block
from otrace.errors import UsageError
from otrace.otel import outbox, ways
from otrace.otel.capture import Capture
from otrace.otel.outbox import Outbox, Parcel, StoppingError
from otrace.otel.stats import reset, stats
from otrace.otel.topmost import with_attributes
from otrace_exporters.otlp.spans import OwnSpan, Trace

TRACE = Trace(bytes(range(1, 17)))


def block(*spans: tuple[int, int]) -> Block:
    """Spans of (id, parent's id)."""
    encoded = [
        OwnSpan(f"s{id_}", id_.to_bytes(8, "big"), parent.to_bytes(8, "big"), 1, 2, {"n": id_})
        for id_, parent in spans
    ]
    return Block(b"".join(span.encode(TRACE) for span in encoded), len(spans))


def parcel(*blocks: Block) -> Parcel:
    return Parcel(Capture(TRACE.id, list(blocks), {}), Resource({"service.name": "s"}), True)


def exported(sent: Parcel) -> list[object]:
    exporter = InMemorySpanExporter()
    ways.ExporterWay(exporter).send(sent, threading.Event())
    return list(exporter.get_finished_spans())


def test_any_exporter_gets_the_spans() -> None:
    first, second = exported(parcel(block((7, 5), (8, 7))))
    assert (first.name, first.context.span_id, first.parent.span_id) == ("s7", 7, 5)
    assert (second.parent.span_id, second.attributes, second.start_time) == (7, {"n": 8}, 1)
    assert first.context.trace_id == int.from_bytes(TRACE.id, "big")
    assert first.context.trace_flags.sampled
    assert first.resource.attributes["service.name"] == "s"
    assert first.instrumentation_scope.name == "otrace"


def test_the_topmost_span_gets_the_attributes() -> None:
    blocks = with_attributes([block((9, 8)), block((7, 6), (6, 5), (4, 5))], 5, {"x": True})
    marked = [span.name for span in exported(parcel(*blocks)) if "x" in span.attributes]
    assert marked == ["s6"]
    blocks = with_attributes([block((9, 8)), block((7, 6))], 5, {"x": True})
    marked = [span.name for span in exported(parcel(*blocks)) if "x" in span.attributes]
    assert marked == ["s9"]


def test_resources_may_hold_lists() -> None:
    resource = Resource({"a": "text", "b": [1, 2], "c": True, "d": 1.5})
    message = ResourceMessage.FromString(ways.encode_resource(resource))
    values = {pair.key: pair.value for pair in message.attributes}
    assert values["a"].string_value == "text"
    assert [item.int_value for item in values["b"].array_value.values] == [1, 2]
    assert values["c"].bool_value is True
    assert values["d"].double_value == 1.5


def test_an_otlp_exporter_is_copied() -> None:
    exporter = OTLPSpanExporter("http://there:1/v1/traces", headers={"token": "x"})
    way = ways.way_for(exporter)
    assert isinstance(way, ways.OtlpWay)
    assert way._configuration.url == "http://there:1/v1/traces"
    assert way._configuration.headers["token"] == "x"


def test_what_cannot_be_copied_is_used() -> None:
    exporter = OTLPSpanExporter("https://there/v1/traces")
    assert isinstance(ways.way_for(exporter), ways.ExporterWay)
    with pytest.raises(UsageError, match="SpanExporter"):
        ways.way_for(object())


@dataclass
class Hanging:
    """Never done before it is told to stop."""

    begun: threading.Event

    def send(self, parcel: Parcel, stopping: threading.Event) -> None:
        self.begun.set()
        stopping.wait()
        raise StoppingError

    def forked(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_the_outbox_is_bounded_in_bytes_and_drops_the_oldest() -> None:
    reset()
    way = Hanging(threading.Event())
    box = Outbox(way, max_bytes=parcel(block((1, 2))).size * 3 + 10)
    assert box.open()
    box.put(parcel(block((1, 2))))
    assert way.begun.wait(10)
    for number in range(10):
        box.put(parcel(block((number + 1, 99))))
    assert [one.capture.blocks[0] for one in box._parcels] == [block((n, 99)) for n in (8, 9, 10)]
    assert stats()["dropped"] == 7
    box.close(deadline=0)
    assert stats()["dropped"] == 11
    assert stats()["sent"] == 0


class Deaf(Hanging):
    """Does not even then stop."""

    def __init__(self) -> None:
        super().__init__(threading.Event())
        self.over = threading.Event()

    def send(self, parcel: Parcel, stopping: threading.Event) -> None:
        self.begun.set()
        assert self.over.wait(60)


def test_what_is_on_its_way_at_the_deadline_is_dropped_and_not_sent_too() -> None:
    reset()
    way = Deaf()
    box = Outbox(way, max_bytes=1 << 20)
    assert box.open()
    box.put(parcel(block((1, 2), (3, 2))))
    assert way.begun.wait(10)
    box.put(parcel(block((5, 2))))
    box.close(deadline=0)
    counted = {name: stats()[name] for name in ("encoded", "sent", "dropped")}
    assert counted == {"encoded": 3, "sent": 0, "dropped": 3}
    way.over.set()
    assert box._thread is not None
    box._thread.join(10)
    assert (stats()["sent"], stats()["dropped"]) == (0, 3)


class Refusing:
    def send(self, parcel: Parcel, stopping: threading.Event) -> None:
        raise RuntimeError("no")

    def forked(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_failures_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    reset()
    box = Outbox(Refusing(), max_bytes=1 << 20)
    assert box.open()
    for _ in range(5):
        box.put(parcel(block((1, 2))))
    box.close(deadline=outbox.time.monotonic() + 10)
    assert [record.message for record in caplog.records] == ["captured calls were not sent: no"]
    assert stats()["dropped"] == 5
