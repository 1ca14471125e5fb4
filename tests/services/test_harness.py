"""The harness itself: what the other service tests rely on, shown with hand-made data."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jaeger import Jaeger, JaegerError, wait_for
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from perfetto_ui import PerfettoUI, TraceLoadError

EPOCH_NS = 1_790_000_000_123_456_789  # above 2**53: a float would lose the last digits

CHROME_EVENTS: list[dict[str, Any]] = [
    {"ph": "M", "pid": 7, "tid": 7, "name": "process_name", "args": {"name": "demo"}},
    {"ph": "M", "pid": 7, "tid": 7, "name": "thread_name", "args": {"name": "worker"}},
    {"ph": "X", "pid": 7, "tid": 7, "ts": 1.001, "dur": 10.5, "name": "outer", "args": {"a": 1}},
    {"ph": "X", "pid": 7, "tid": 7, "ts": 2.002, "dur": 3.25, "name": "in→ner"},
]


def chrome_json(events: list[dict[str, Any]]) -> bytes:
    # Perfetto shows \uXXXX escapes as they are written, so letters go in as UTF-8.
    return json.dumps({"traceEvents": events}, ensure_ascii=False).encode()


def write_json(path: Path) -> None:
    path.write_bytes(chrome_json(CHROME_EVENTS))


def write_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(chrome_json(CHROME_EVENTS)))


def write_protobuf(path: Path) -> None:
    """The same two slices in Perfetto's own format, made with Perfetto's own classes."""
    trace = Trace()
    track = trace.packet.add()
    track.trusted_packet_sequence_id = 1
    track.track_descriptor.uuid = 1
    track.track_descriptor.thread.pid = 7
    track.track_descriptor.thread.tid = 7
    track.track_descriptor.thread.thread_name = "worker"
    for at, name in ((1001, "outer"), (2002, "in→ner"), (5252, None), (11501, None)):
        packet = trace.packet.add()
        packet.timestamp = at
        packet.trusted_packet_sequence_id = 1
        packet.track_event.track_uuid = 1
        packet.track_event.type = TrackEvent.TYPE_SLICE_BEGIN if name else TrackEvent.TYPE_SLICE_END
        if name:
            packet.track_event.name = name
    path.write_bytes(trace.SerializeToString())


@pytest.mark.parametrize(
    ("name", "write"),
    [("t.json", write_json), ("t.json.gz", write_gzip), ("t.pftrace", write_protobuf)],
)
def test_perfetto_answers_sql_over_a_trace_file(
    perfetto: PerfettoUI, tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    with perfetto.open(tmp_path / name) as trace:
        slices = trace.query(
            "select s.ts, s.dur, s.name, s.depth, t.name as thread"
            " from slice s join thread_track k on s.track_id = k.id join thread t using (utid)"
            " order by s.ts"
        )
        assert slices == [
            {"ts": 1001, "dur": 10500, "name": "outer", "depth": 0, "thread": "worker"},
            {"ts": 2002, "dur": 3250, "name": "in→ner", "depth": 1, "thread": "worker"},
        ]
        assert trace.stats() == {}


def test_perfetto_keeps_values_of_every_type(perfetto: PerfettoUI, tmp_path: Path) -> None:
    write_json(tmp_path / "t.json")
    with perfetto.open(tmp_path / "t.json") as trace:
        rows = trace.query(f"select {EPOCH_NS} as i, 1.5 as f, 'x' as s, null as n, x'0aff' as b")
    assert rows == [{"i": EPOCH_NS, "f": 1.5, "s": "x", "n": None, "b": b"\x0a\xff"}]


def test_perfetto_reports_import_errors(perfetto: PerfettoUI, tmp_path: Path) -> None:
    overlapping = {"ph": "X", "pid": 7, "tid": 7, "ts": 8, "dur": 9, "name": "half in outer"}
    (tmp_path / "t.json").write_bytes(chrome_json([*CHROME_EVENTS, overlapping]))
    with perfetto.open(tmp_path / "t.json") as trace:
        assert trace.stats() == {"slice_drop_overlapping_complete_event": 1}


def test_perfetto_refuses_a_file_that_is_no_trace(perfetto: PerfettoUI, tmp_path: Path) -> None:
    (tmp_path / "t.bin").write_bytes(b"no trace at all")
    with pytest.raises(TraceLoadError, match=r"t\.bin"), perfetto.open(tmp_path / "t.bin"):
        pass


def test_perfetto_leaves_the_test_its_own_event_loop(perfetto: PerfettoUI) -> None:
    async def nothing() -> str:
        return "ran"

    assert asyncio.run(nothing()) == "ran"


def test_perfetto_photographs_the_page(perfetto: PerfettoUI, tmp_path: Path) -> None:
    write_json(tmp_path / "t.json")
    with perfetto.open(tmp_path / "t.json") as trace:
        trace.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_jaeger_takes_spans_and_gives_them_back(jaeger: Jaeger, protocol: str) -> None:
    service = f"harness-{protocol}"
    exporter: SpanExporter
    if protocol == "http":
        exporter = HttpSpanExporter(endpoint=f"{jaeger.otlp_http}/v1/traces")
    else:
        exporter = GrpcSpanExporter(endpoint=jaeger.otlp_grpc, insecure=True)
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("harness")
    with tracer.start_as_current_span("parent") as parent:
        with tracer.start_as_current_span("child"):
            pass
        trace_id = parent.get_span_context().trace_id
    provider.shutdown()

    trace = jaeger.get_trace(trace_id, spans=2)
    by_name = {span["operationName"]: span for span in trace["spans"]}
    assert set(by_name) == {"parent", "child"}
    assert by_name["child"]["references"][0]["spanID"] == by_name["parent"]["spanID"]
    assert by_name["parent"]["references"] == []
    assert [t["traceID"] for t in jaeger.find_traces(service)] == [f"{trace_id:032x}"]
    assert service in jaeger.services()


def test_waiting_for_spans_ends_with_what_was_missing() -> None:
    with pytest.raises(JaegerError, match="the trace 1234"):
        wait_for(lambda: None, "the trace 1234", timeout_s=0.0)
