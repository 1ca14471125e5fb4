"""The span processor, and collectors that misbehave: requests never wait, and the exit is in time.

The service says "served" when its requests are through; the receivers that hang do so until after
its end, so that a request or an exit that waited for them would never come.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from integration.otlp_receiver import Answer, always, free_port, receiving, spans

SERVICE = """
import json, logging, os, sys
logging.basicConfig(format="LOG %(message)s", stream=sys.stdout)
from opentelemetry.sdk.trace import TracerProvider
from otrace.otel import OtraceSpanProcessor, stats

provider = TracerProvider()
options = {"overhead": 0, **json.loads(sys.argv[1])}
provider.add_span_processor(OtraceSpanProcessor(mode="always", include=["__main__"], **options))
tracer = provider.get_tracer("test")

def leaf():
    pass

def request():
    with tracer.start_as_current_span("request"):
        for _ in range(100):
            leaf()

def serve(requests):
    for _ in range(requests):
        request()
    print("served", flush=True)

for line in sys.stdin:
    requests, flush_ms = map(int, line.split())
    serve(requests)
    provider.force_flush(flush_ms)
    print(json.dumps(stats()), flush=True)
provider.shutdown()
print(json.dumps(stats()))
"""


class Service:
    """A service whose only way out is the receiver."""

    def __init__(self, folder: Path, url: str, variables: dict[str, str], **options: object):
        program = folder / "service.py"
        program.write_text(SERVICE)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(program), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PATH": "/usr/bin:/bin",
                "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                "OTRACE_SESSION_DIR": str(folder),
                **variables,
            },
        )
        self.log: list[str] = []
        self._watch = threading.Timer(60, self.process.kill)
        self._watch.start()

    def serve(self, requests: int, flush_ms: int = 30_000) -> dict[str, int]:
        """Returns the counters after so many requests."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{requests} {flush_ms}\n")
        self.process.stdin.flush()
        return self._counters()

    def end(self) -> dict[str, int]:
        """Returns the counters at the end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        counters = self._counters()
        assert self.process.wait(30) == 0
        assert self.process.stderr is not None
        assert self.process.stderr.read() == ""
        self._watch.cancel()
        return counters

    def _counters(self) -> dict[str, int]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("LOG "):
                self.log.append(line[4:].rstrip())
            elif line.startswith("{"):
                counters: dict[str, int] = json.loads(line)
                return counters
        pytest.fail(f"it ended: {self.process.stderr and self.process.stderr.read()}")


@contextmanager
def service(folder: Path, url: str, **options: object) -> Iterator[Service]:
    variables = options.pop("variables", {})
    assert isinstance(variables, dict)
    started = Service(folder, url, variables, **options)
    try:
        yield started
    finally:
        started.process.kill()


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "it answered 400"), (401, "OTEL_EXPORTER_OTLP_HEADERS"), (404, "is it an OTLP/HTTP")],
)
def test_what_is_refused_is_dropped_counted_and_told_once(
    tmp_path: Path, status: int, words: str
) -> None:
    with (
        receiving(always(Answer(status))) as receiver,
        service(tmp_path, receiver.url) as running,
    ):
        counters = running.serve(5)
        running.end()
    assert counters["captured"] == 5
    assert counters["dropped"] == 5 * 100
    assert counters["sent"] == 0
    (line,) = running.log
    assert receiver.url in line
    assert words in line


def test_what_is_too_large_goes_in_pieces(tmp_path: Path) -> None:
    def answer(number: int, request: object) -> Answer:
        return Answer(413 if len(spans([receiver.requests[-1]])) > 30 else 200)

    with receiving(answer) as receiver, service(tmp_path, receiver.url) as running:
        counters = running.serve(1)
        running.end()
    assert counters["sent"] == 100
    assert len(spans(receiver.accepted)) == 100
    assert running.log == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_one_is_asked_again(tmp_path: Path, status: int) -> None:
    busy = Answer(status, headers={"Retry-After": "0"})
    with (
        receiving(always(busy, busy, Answer())) as receiver,
        service(tmp_path, receiver.url) as running,
    ):
        counters = running.serve(1)
        running.end()
    assert (counters["sent"], counters["retried"], counters["dropped"]) == (100, 2, 0)
    assert running.log == []


def test_one_that_is_absent_and_comes_and_goes(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    closing = Answer(headers={"Connection": "close"})
    with service(tmp_path, url, shutdown_timeout=0.5) as running:
        absent = running.serve(3)
        with receiving(always(closing), port) as receiver:
            there = running.serve(3)
            assert len(spans(receiver.accepted)) == 300
        running.serve(1, flush_ms=1)  # it was there: it is asked again until the end
        gone = running.end()
    assert (absent["dropped"], absent["sent"]) == (300, 0)
    assert (there["dropped"], there["sent"]) == (300, 300)
    assert (gone["dropped"], gone["sent"]) == (400, 300)
    (line,) = running.log
    assert f"cannot send spans to {url}/v1/traces: connection refused" in line


def test_one_that_closes_the_connection(tmp_path: Path) -> None:
    with receiving(always(None)) as receiver, service(tmp_path, receiver.url) as running:
        counters = running.serve(3)
        running.end()
    assert counters["dropped"] == 300
    (line,) = running.log
    assert "it closed the connection without an answer" in line


def test_one_that_speaks_no_tls(tmp_path: Path) -> None:
    with receiving(always(Answer())) as receiver:
        url = receiver.url.replace("http:", "https:")
        with service(tmp_path, url) as running:
            counters = running.serve(2)
            running.end()
    assert counters["dropped"] == 200
    (line,) = running.log
    assert f"cannot send spans to {url}/v1/traces: TLS failed" in line


def test_requests_do_not_wait_and_the_queue_is_bounded(tmp_path: Path) -> None:
    """It accepts and never answers: 300 requests are served, and the oldest calls dropped."""

    def answer(number: int, request: object) -> None:
        held.wait()

    held = threading.Event()
    hour = {"OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
    few = {"queue_size": "100KiB", "shutdown_timeout": 0.5}
    with (
        receiving(answer) as receiver,
        service(tmp_path, receiver.url, variables=hour, **few) as running,
    ):
        counters = running.serve(300, flush_ms=1)
        left = running.end()  # though it never answers
        held.set()
    kept_most = 100 * 1024 // (1000 + 100 * 60)  # a span takes 60 bytes at least
    assert counters["sent"] == 0
    assert left["captured"] + left["skipped"] >= 299  # one may be in the middle
    assert left["dropped"] >= (left["captured"] - 1 - kept_most) * 100
    assert len(receiver.requests) == 1


def test_an_exit_does_not_wait_for_retry_after(tmp_path: Path) -> None:
    busy = Answer(429, headers={"Retry-After": "5"})
    with (
        receiving(always(busy)) as receiver,
        service(tmp_path, receiver.url, shutdown_timeout=0.3) as running,
    ):
        running.serve(1, flush_ms=1)
        counters = running.end()
    assert counters["sent"] == 0
    assert len(receiver.requests) <= 1  # it was not asked again


def test_the_counters_are_metrics(tmp_path: Path) -> None:
    code = """
import json
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otrace.otel import OtraceSpanProcessor

reader = InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(OtraceSpanProcessor(exporter=InMemorySpanExporter(), mode="always"))
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))

def leaf():
    pass

with provider.get_tracer("test").start_as_current_span("request"):
    leaf()
assert provider.force_flush()
[resource] = reader.get_metrics_data().resource_metrics
[scope] = resource.scope_metrics
print(json.dumps({m.name: m.data.data_points[0].value for m in scope.metrics}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "OTRACE_SESSION_DIR": str(tmp_path)},
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["otrace.captured"] == 1
    assert found["otrace.encoded"] == found["otrace.sent"] == 1
    assert found["otrace.dropped"] == 0
    assert len(found) == 8
