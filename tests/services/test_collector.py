"""A real collector between a service and Jaeger: tail sampling by what otrace found.

Jaeger's binary is the OpenTelemetry Collector with a storage. It has all components of the
configurations in examples but `loadbalancing`, and calls `otlp_grpc` by its older name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from jaeger import Jaeger, _free_ports, find_jaeger, wait_for

yaml = pytest.importorskip("yaml")

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKED = [
    *(EXAMPLES / "scale" / f"{name}.yaml" for name in ("sampler", "jaeger-clickhouse")),
    EXAMPLES / "scale" / "jaeger-opensearch.yaml",
    EXAMPLES / "services" / "collector.yaml",
    EXAMPLES / "services" / "jaeger.yaml",
]


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    binary = find_jaeger()
    assert binary is not None
    environment = {**os.environ, "CLICKHOUSE_PASSWORD": "x", "OPENSEARCH_PASSWORD": "x"}
    words = [binary, "validate", "--config", str(path)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.stem)
def test_a_collector_takes_the_configuration(path: Path, jaeger: Jaeger, tmp_path: Path) -> None:
    text = path.read_text().replace("otlp_grpc", "otlp")
    copy = tmp_path / "good.yaml"
    copy.write_text(text)
    done = validate(copy)
    assert done.returncode == 0, done.stderr
    copy.write_text(text.replace("  otlp:", "  otlp:\n    nonsense: 1").replace("  kafka:", "  k:"))
    assert validate(copy).returncode != 0


PROGRAM = """
import time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from otrace.otel import OtraceSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "sampled"}))
batches = BatchSpanProcessor(OTLPSpanExporter())
provider.add_span_processor(OtraceSpanProcessor(next=batches, slow=0.05, include=["__main__"]))
tracer = provider.get_tracer("test")

def nap(seconds):
    time.sleep(seconds)

for seconds in (0.0, 0.1, 0.0):
    with tracer.start_as_current_span("request") as span:
        nap(seconds)
    print(f"{span.get_span_context().trace_id:032x}", flush=True)
provider.shutdown()
"""


def test_what_was_captured_goes_through(jaeger: Jaeger, tmp_path: Path) -> None:
    """The composition's collector, less the one in a hundred that it keeps by chance."""
    binary = find_jaeger()
    assert binary is not None
    [port] = _free_ports(1)
    configuration = yaml.safe_load(
        (EXAMPLES / "services" / "collector.yaml").read_text().replace("otlp_grpc", "otlp")
    )
    configuration["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = f"127.0.0.1:{port}"
    configuration["exporters"]["otlp"]["endpoint"] = jaeger.otlp_grpc.removeprefix("http://")
    configuration["processors"]["tail_sampling"]["decision_wait"] = "1s"
    del configuration["processors"]["tail_sampling"]["policies"][1]
    configuration["service"]["telemetry"] = {"metrics": {"level": "none"}}
    path = tmp_path / "collector.yaml"
    path.write_text(yaml.safe_dump(configuration))
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log:
        collector = subprocess.Popen([binary, "--config", str(path)], stdout=log, stderr=log)
    try:
        wait_for(lambda: is_up(url), "the collector", 60)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        quick, slow, _ = done.stdout.split()
        trace = jaeger.get_trace(slow, 2)
    finally:
        collector.terminate()  # it decides about what it holds, and sends that
        collector.wait(60)
    assert {span["operationName"] for span in trace["spans"]} == {"request", "__main__.nap"}
    shown = {one["traceID"] for one in jaeger.find_traces("sampled")}
    assert slow in shown
    assert quick not in shown
    assert len(shown) == 1


def is_up(url: str) -> bool | None:
    try:
        headers = {"Content-Type": "application/x-protobuf"}
        requests.post(f"{url}/v1/traces", data=b"", headers=headers, timeout=1).raise_for_status()
    except requests.RequestException:
        return None
    return True
