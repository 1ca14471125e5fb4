"""Requests that were not sampled, in a real Jaeger: slow ones whole, of the others nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jaeger import Jaeger
from test_bridge_services import complaints, orphans, shown, tags_of

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
SERVICE = "mostly-unsampled"
PROGRAM = """
import json, threading, time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import AlwaysRecordSampler, ParentBased, TraceIdRatioBased
from otrace.otel import OtraceSpanProcessor, stats

provider = TracerProvider(sampler=AlwaysRecordSampler(ParentBased(TraceIdRatioBased(0.0))))
batch = BatchSpanProcessor(OTLPSpanExporter())
provider.add_span_processor(OtraceSpanProcessor(batch, slow=0.05, keep_unsampled=True, overhead=0))
tracer = provider.get_tracer("service")

def look_up():
    with tracer.start_as_current_span("query"):
        parse()

def parse():
    pass

def quick():
    look_up()

def slow():
    look_up()
    time.sleep(0.08)

def request(work):
    with tracer.start_as_current_span(work.__name__) as span:
        work()
    return f"{span.get_span_context().trace_id:032x}"

ids = {"quick": [], "slow": []}
def client():
    for number in range(10):
        ids["quick"].append(request(quick))
        if number % 5 == 0:
            ids["slow"].append(request(slow))

threads = [threading.Thread(target=client) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert provider.force_flush()
provider.shutdown()
print(json.dumps({"ids": ids, "stats": stats()}))
"""


def test_slow_ones_are_whole_and_quick_ones_are_not_there(tmp_path: Path, jaeger: Jaeger) -> None:
    """Four threads at once."""
    program = tmp_path / "service.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "OTEL_SERVICE_NAME": SERVICE,
        },
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    slow = found["ids"]["slow"]
    assert (len(slow), len(found["ids"]["quick"])) == (8, 40)
    query = ("query", (("__main__.parse", ()),))
    below = ("__main__.slow", (("__main__.look_up", (query,)),))
    for trace_id in slow:
        trace = jaeger.get_trace(trace_id, 5)
        assert shown(trace, SERVICE) == [("slow", (below,))]
        assert complaints(trace) == []
        assert orphans(trace) == []
        [root] = [span for span in trace["spans"] if tags_of(span).get("otrace.captured")]
        assert tags_of(root)["otrace.unsampled"] is True
    traces = jaeger.find_traces(SERVICE, len(slow))
    assert {trace["traceID"] for trace in traces} == set(slow)
