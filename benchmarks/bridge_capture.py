"""The claims: a captured tree of 5,000 spans is encoded and sent 10 times faster than the SDK's
spans are, and the request's thread is held up for at most 1 ms.

    python benchmarks/bridge_capture.py [--spans 5000] [--rounds 10] [--triggers 300]

A request that makes so many calls is captured by the processor and sent into a real Jaeger: over
otrace's OTLP, and through the service's own exporter as ReadableSpans. Beside it the SDK creates,
ends and exports the same spans itself (BatchSpanProcessor, OTLP over HTTP). In turns in one
process, in a new order each round; Jaeger then has to have every span. Needs the Jaeger that
.ci/jaeger builds.

`work` is what the two threads do from the trigger until Jaeger has answered: read, choose, encode,
send. `until sent` is the time since the trigger, with the pause that lets the calls around the
root's end return. `blocked` is the time in the processor's own on_start and on_end of a triggering
root, on the request's thread.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "services"))

import _harness as h
import jaeger as harness
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otrace.otel import OtraceSpanProcessor

SDK_BY_OTRACE = 0.1
BLOCKED_MS = 1.0
CALLS_A_BRANCH = 20
TIMED_OUT_S = 60.0


def leaf(number: int) -> int:
    return number


def branch(calls: int) -> None:
    for number in range(calls - 1):
        leaf(number)


def work(spans: int) -> None:
    for _ in range(spans // CALLS_A_BRANCH):
        branch(CALLS_A_BRANCH)


class OwnExporter(SpanExporter):
    """One of the service's, which otrace cannot know: it gets ReadableSpans."""

    def __init__(self, url: str) -> None:
        self._inner = OTLPSpanExporter(url)

    def export(self, spans: Any) -> SpanExportResult:
        return self._inner.export(spans)


@dataclass
class Captures:
    """The processor with one way of sending, and what its captures took, in ms."""

    name: str
    provider: TracerProvider
    processor: OtraceSpanProcessor
    blocked: list[float] = field(default_factory=list)
    until_sent: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    def request(self, spans: int) -> int:
        """One captured request; its trace's id."""
        processor, now = self.processor, time.perf_counter_ns
        spent = [0, 0]  # by the threads, on the request's
        worker, way = processor._worker, processor._outbox._way

        def timed(call: Callable[..., None], which: int) -> Callable[..., None]:
            def timing(*words: Any, **named: Any) -> None:
                began = now()
                call(*words, **named)
                spent[which] += now() - began

            return timing

        worker._do = timed(processor._capture, 0)
        way.send = timed(type(way).send.__get__(way), 0)  # type: ignore[method-assign]
        processor.on_start = timed(  # type: ignore[method-assign]
            OtraceSpanProcessor.on_start.__get__(processor), 1
        )
        processor.on_end = timed(  # type: ignore[method-assign]
            OtraceSpanProcessor.on_end.__get__(processor), 1
        )
        with self.provider.get_tracer("bench").start_as_current_span("request") as span:
            work(spans)
        began = now()
        deadline = time.monotonic() + TIMED_OUT_S
        assert worker.flush(deadline)
        assert processor._outbox.flush(deadline)
        self.until_sent.append((now() - began) / 1e6)
        self.work.append(spent[0] / 1e6)
        self.blocked.append(spent[1] / 1e6)
        return span.get_span_context().trace_id


def captures(name: str, exporter: SpanExporter, spans: int) -> Captures:
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    processor = OtraceSpanProcessor(
        BatchSpanProcessor(exporter),
        slow=0.0,
        per_minute=1e9,
        max_spans=spans + 1000,
        include=["__main__"],
        overhead=0,
    )
    provider.add_span_processor(processor)
    return Captures(name, provider, processor)


class Collecting(SpanExporter):
    """Keeps the spans of one capture, so that the SDK can make the same."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


def send_with_sdk(spans: list[ReadableSpan], url: str) -> float:
    """Create, end and export; in ms. The provider is ready before."""
    provider = TracerProvider(resource=Resource.create({"service.name": "sdk"}))
    batches = BatchSpanProcessor(OTLPSpanExporter(url), max_queue_size=len(spans) + 1)
    provider.add_span_processor(batches)
    tracer = provider.get_tracer("otrace")
    began = time.perf_counter_ns()
    contexts: dict[int, Any] = {}
    made = []
    for one in spans:
        assert one.context is not None
        above = None if one.parent is None else contexts.get(one.parent.span_id)
        span = tracer.start_span(
            one.name, context=above, attributes=one.attributes, start_time=one.start_time
        )
        contexts[one.context.span_id] = trace.set_span_in_context(span)
        made.append((span, one.end_time))
    for span, end in made:
        span.end(end)
    assert provider.force_flush(int(TIMED_OUT_S * 1000))
    took = (time.perf_counter_ns() - began) / 1e6
    provider.shutdown()
    return took


def same_spans(count: int) -> list[ReadableSpan]:
    """The spans of a captured request, in order of start."""
    kept = Collecting()
    of = captures("kept", kept, count)
    of.request(count)
    spans = [span for span in kept.spans if span.name != "request"]
    of.provider.shutdown()
    assert len(spans) >= count, len(spans)
    return sorted(spans, key=lambda span: (span.start_time or 0, -(span.end_time or 0)))


def report_on(ways: list[Captures], sdk: list[float], spans: int, rounds: int) -> h.Report:
    report = h.Report(f"A captured request of {spans} calls, {rounds} rounds")
    rows = [["SDK's spans", f"{statistics.median(sdk):.0f}", "", "", ""]]
    for of in ways:
        ratio = h.paired_ratio(of.work[-rounds:], sdk)
        low, high = 1 / ratio.high, 1 / ratio.low
        reached = report.check(of.name, ratio.value, SDK_BY_OTRACE) if of.name == "OTLP" else ""
        medians = [
            f"{statistics.median(times[-rounds:]):.1f}" for times in (of.work, of.until_sent)
        ]
        rows.append([of.name, *medians, f"{1 / ratio.value:.1f} ({low:.1f}-{high:.1f})", reached])
        report.data[of.name] = {"work": of.work, "until_sent": of.until_sent, "ratio": ratio}
    header = ["way", "work ms", "until sent ms", "SDK / it", "reached"]
    report.text.append(h.table(header, rows))
    return report


def report_blocked(ways: list[Captures], triggers: int) -> h.Report:
    report = h.Report(f"The request's thread at {triggers} triggers, ms")
    rows = []
    for of in ways:
        times = sorted(of.blocked[-triggers:])
        reached = report.check(f"blocked, {of.name}", times[-1], BLOCKED_MS)
        middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
        rows.append([of.name, f"{middle:.3f}", f"{late:.3f}", f"{times[-1]:.3f}", reached])
        report.data[of.name] = times
    report.text.append(h.table(["way", "median", "p99", "max", "reached"], rows))
    return report


def main() -> None:
    parser = h.arguments(__doc__ or "", default_rounds=10)
    parser.add_argument("--spans", type=int, default=5000)
    parser.add_argument("--triggers", type=int, default=300)
    options = parser.parse_args()
    missing = harness.missing_part()
    if missing is not None:
        raise SystemExit(missing)
    same = same_spans(options.spans)
    with harness.run_jaeger() as jaeger:
        url = f"{jaeger.otlp_http}/v1/traces"
        ways = [
            captures("OTLP", OTLPSpanExporter(url), options.spans),
            captures("ReadableSpan", OwnExporter(url), options.spans),
        ]
        sdk: list[float] = []
        turns = [lambda: sdk.append(send_with_sdk(same, url))]
        turns += [lambda of=of: of.request(options.spans) for of in ways]  # type: ignore[misc]
        for turn in turns:
            turn()  # once for nothing: imports, connections, caches
        sdk.clear()
        for _ in range(options.rounds):
            for turn in random.sample(turns, len(turns)):
                turn()
        reports = [report_on(ways, sdk, options.spans, options.rounds)]
        for of in ways:
            for _ in range(options.triggers):
                last = of.request(200)
            assert of.processor.force_flush(int(TIMED_OUT_S * 1000))
            jaeger.get_trace(last, spans=200)
        for of in ways:
            whole = of.request(options.spans)
            assert of.processor.force_flush(int(TIMED_OUT_S * 1000))
            jaeger.get_trace(whole, spans=options.spans)
        for of in ways:
            del of.blocked[-1]
        reports.append(report_blocked(ways, options.triggers))
        for of in ways:
            of.provider.shutdown()
    for report in reports:
        h.show(report)
    h.save(reports, options)


if __name__ == "__main__":
    main()
