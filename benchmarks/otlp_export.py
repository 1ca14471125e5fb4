"""The claim: otrace sends spans to a real Jaeger at 10 times the rate of OpenTelemetry's SDK.

    python benchmarks/otlp_export.py [--spans 20000] [--rounds 7]

The same spans, names, attributes and tree: otrace from a recording (opened, chosen, encoded and
sent), the SDK by its own create and export path (start_span, end, BatchSpanProcessor with room for
all, OTLPSpanExporter, force_flush). Both in this process, in turns, in a new order each round, over
the same protocol to the same Jaeger, which then has to have every span. Needs the Jaeger that
.ci/jaeger builds, and otrace installed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "services"))

import jaeger as harness

from otrace.recording import Recording
from otrace_exporters.otlp import OtlpExporter

PROGRAM = """
def leaf(i):
    return i

def branch(n):
    for i in range(n):
        leaf(i)

for _ in range({branches}):
    branch(19)
"""
PROTOCOLS = ("http/protobuf", "grpc")


@dataclass(frozen=True)
class Call:
    """What the SDK needs to make the same span."""

    index: int
    parent: int
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]


def record(folder: Path, spans: int) -> Path:
    """A recording of about so many calls."""
    (folder / "app.py").write_text(PROGRAM.format(branches=spans // 20))
    words = ["run", "-q", "--include", "__main__", "--no-c-calls", "-o", "app.otrace", "app.py"]
    subprocess.run([sys.executable, "-m", "otrace", *words], cwd=folder, check=True)
    return folder / "app.otrace"


def calls_of(recording: Recording) -> list[Call]:
    """All calls in order of start."""
    (track,) = recording.processes[0].tracks
    found = []
    for batch in track.batches():
        for row in range(len(batch)):
            function = recording.processes[0].functions[batch.function[row]]
            start = recording.start_wall_ns + batch.start_ns[row]
            found.append(
                Call(
                    batch.index[row],
                    batch.parent[row],
                    function.name,
                    start,
                    start + batch.duration_ns[row],
                    {
                        "code.function.name": function.name,
                        "code.file.path": function.file,
                        "code.line.number": function.line,
                        "thread.id": track.os_tid,
                        "thread.name": track.name,
                    },
                )
            )
    return sorted(found, key=lambda call: call.index)


def send_with_otrace(path: Path, count: int, protocol: str, endpoint: str) -> int:
    """Open, choose, encode, send; returns how many spans were sent."""
    exporter = OtlpExporter()
    options = {option.name: option.default for option in exporter.options}
    options |= {"max_spans": count + 1000, "protocol": protocol, "service": "otrace"}
    result = exporter.export(Recording.open(path), endpoint, options, None)
    return int(result.message.split(" ")[0].replace(",", ""))


def send_with_sdk(calls: list[Call], protocol: str, endpoint: str) -> int:
    """Create and export by the SDK; returns how many spans were made."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter: Any
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        exporter = Grpc(endpoint=endpoint, insecure=True)
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

        exporter = Http(endpoint=f"{endpoint}/v1/traces")
    provider = TracerProvider(resource=Resource.create({"service.name": "sdk"}))
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=len(calls) + 1, max_export_batch_size=512)
    )
    tracer = provider.get_tracer("otrace")
    contexts: dict[int, Any] = {-1: None}
    made: list[tuple[Any, Call]] = []
    for call in calls:
        span = tracer.start_span(
            call.name,
            context=contexts[call.parent],
            attributes=call.attributes,
            start_time=call.start_ns,
        )
        contexts[call.index] = trace.set_span_in_context(span)
        made.append((span, call))
    for span, call in made:
        span.end(call.end_ns)
    assert provider.force_flush(300_000)
    provider.shutdown()
    return len(made)


@contextmanager
def timed(samples: list[tuple[float, float]]) -> Iterator[None]:
    """Adds (wall, CPU) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    samples.append((time.perf_counter() - wall, time.process_time() - cpu))


def compare(
    path: Path, calls: list[Call], protocol: str, jaeger: harness.Jaeger, rounds: int
) -> dict[str, Any]:
    """Rounds of both over one protocol."""
    endpoint = jaeger.otlp_grpc if protocol == "grpc" else jaeger.otlp_http
    sent: dict[str, int] = {}

    def otrace() -> None:
        sent["otrace"] = send_with_otrace(path, len(calls), protocol, endpoint)

    def sdk() -> None:
        sent["sdk"] = send_with_sdk(calls, protocol, endpoint)

    contenders: dict[str, Callable[[], None]] = {"otrace": otrace, "sdk": sdk}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender()  # once for nothing: imports, connections, caches
    for _ in range(rounds):
        for name in random.sample(list(contenders), len(contenders)):
            with timed(samples[name]):
                contenders[name]()
    ratios = [b[0] / a[0] for a, b in zip(samples["otrace"], samples["sdk"], strict=True)]
    figures: dict[str, Any] = {"protocol": protocol, "rounds": rounds}
    for name, found in samples.items():
        wall = statistics.median(wall for wall, _ in found)
        cpu = statistics.median(cpu for _, cpu in found)
        figures[name] = {
            "spans": sent[name],
            "us_a_span": wall / sent[name] * 1e6,
            "cpu_us_a_span": cpu / sent[name] * 1e6,
        }
    scale = sent["otrace"] / sent["sdk"]  # otrace sends a process and a thread besides
    figures["ratio"] = statistics.median(ratios) * scale
    figures["ratio_range"] = [min(ratios) * scale, max(ratios) * scale]
    return figures


def check(jaeger: harness.Jaeger, results: list[dict[str, Any]]) -> None:
    """Raise AssertionError unless Jaeger has all spans of the last export in one trace."""
    (trace,) = jaeger.find_traces("otrace", traces=1, limit=1)
    count = results[-1]["otrace"]["spans"]
    assert len(trace["spans"]) == count, (len(trace["spans"]), count)


def main() -> None:
    """Run, print a table, and the figures as JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    missing = harness.missing_part()
    if missing is not None:
        raise SystemExit(missing)
    results = []
    with tempfile.TemporaryDirectory() as folder, harness.run_jaeger() as jaeger:
        path = record(Path(folder), options.spans)
        calls = calls_of(Recording.open(path))
        for protocol in PROTOCOLS:
            results.append(compare(path, calls, protocol, jaeger, options.rounds))
        check(jaeger, results)
    print(f"{'':14} {'otrace µs/span (CPU)':>22} {'SDK µs/span (CPU)':>22}  SDK / otrace")
    for found in results:
        cells = [
            f"{found[name]['us_a_span']:.2f} ({found[name]['cpu_us_a_span']:.2f})"
            for name in ("otrace", "sdk")
        ]
        low, high = found["ratio_range"]
        ratio = f"{found['ratio']:.1f} ({low:.1f} to {high:.1f})"
        print(f"{found['protocol']:14} {cells[0]:>22} {cells[1]:>22}  {ratio}")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
