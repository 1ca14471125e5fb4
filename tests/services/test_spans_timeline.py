"""The program's own spans in Chrome and Perfetto files, against a real Jaeger that got them too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from jaeger import Jaeger
from oracle.corpus import otrace_run
from perfetto_ui import PerfettoUI

PROGRAM = """
import sys
import threading

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

provider = TracerProvider(resource=Resource.create({"service.name": sys.argv[1]}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")
together = threading.Barrier(3)


def query(rows):
    attributes = {"db.rows": rows, "db.tables": ["a", "b"]}
    with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=attributes):
        pass


def request(number):
    with tracer.start_as_current_span(f"GET /{number}", kind=SpanKind.SERVER):
        together.wait()
        query(number)
        query(number + 1)
        if number == 2:
            raise ValueError("no such thing")


threads = [threading.Thread(target=request, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
provider.shutdown()
"""
SPANS = """
    select slice.id, slice.name, slice.dur, up.name parent, slice.arg_set_id,
           coalesce(track.name, thread.name) track
    from slice left join slice up on up.id = slice.parent_id
    join track on track.id = slice.track_id
    left join thread_track on thread_track.id = track.id left join thread using (utid)
    where slice.category = 'span'
"""


def spans_in(perfetto: PerfettoUI, path: Path, prefix: str) -> dict[str, dict[str, Any]]:
    """By span id: the slice, and its arguments."""
    found = {}
    with perfetto.open(path) as loaded:
        assert loaded.stats() == {}
        for row in loaded.query(SPANS):
            sql = f"select flat_key, display_value from args where arg_set_id = {row['arg_set_id']}"
            pairs = [(pair["flat_key"], pair["display_value"]) for pair in loaded.query(sql)]
            args = {key.removeprefix(prefix): value for key, value in pairs}
            found[args["span_id"]] = {**row, "args": args}
    return found


@pytest.mark.parametrize(("name", "prefix"), [("t.pftrace", "debug."), ("t.json", "args.")])
def test_spans_are_those_in_jaeger(
    jaeger: Jaeger,
    perfetto: PerfettoUI,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    prefix: str,
) -> None:
    service = f"timeline-{name}"
    (tmp_path / "app.py").write_text(PROGRAM)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_http)
    flags = ("--jaeger-url", jaeger.query, "-o", name, "app.py", service)
    done = otrace_run(tmp_path, *flags)
    assert "ValueError: no such thing" in done.stderr
    shown = spans_in(perfetto, tmp_path / name, prefix)
    traces = jaeger.find_traces(service, 3)
    sent = {span["spanID"]: span for found in traces for span in found["spans"]}
    assert set(shown) == set(sent)
    assert len(sent) == 9
    for key, span in sent.items():
        row, args = shown[key], shown[key]["args"]
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        assert row["name"] == span["operationName"]
        assert abs(row["dur"] - span["duration"] * 1000) <= 1000  # Jaeger has microseconds
        assert args["trace_id"] == span["traceID"]
        parents = [reference["spanID"] for reference in span["references"]]
        assert parents == [args[key] for key in ("parent_span_id",) if key in args]
        assert row["parent"] == (sent[parents[0]]["operationName"] if parents else None)
        assert args["span_kind"] == tags["span.kind"]
        assert args["span_status"] == ("error" if tags.get("error") else "unset")
        if "db.rows" in tags:
            sep = "_" if prefix == "debug." else "."
            assert args[f"db{sep}rows"] == str(tags["db.rows"])
    failed = next(row["args"] for row in shown.values() if row["name"] == "GET /2")
    assert "ValueError" in failed.values()
    link = failed["jaeger"]
    assert link == f"{jaeger.query}/trace/{failed['trace_id']}?uiFind={failed['span_id']}"
    assert requests.get(link, timeout=20).ok
    assert {row["track"] for row in shown.values()} == {
        "OpenTelemetry",
        "OpenTelemetry 2",
        "OpenTelemetry 3",
    }
