"""The claim: the processor adds at most 5 % CPU a request to a service with OpenTelemetry.

    python benchmarks/bridge_service.py [--requests 2000] [--rounds 10] [--variant NAME ...]

FastAPI + SQLAlchemy (SQLite) + httpx with the standard instrumentations; the load, the collector
and the service that it asks are other processes. Every round runs each variant once, in a fresh
process and a new order. CPU time is the service's own (user and system, all threads), from after
its first requests to the last one.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import _harness as h
from bridge import load

VARIANTS = {
    "plain": "OpenTelemetry alone",
    "otrace": "and otrace, governor at 5 %",
    "otrace_ungoverned": "otrace without governor",
    "otrace_own_code": "otrace, own code only, no governor",
    "logfire": "logfire auto-tracing, own code",
    "sdk": "a span a function, own code",
    "viztracer": "VizTracer, all code",
}
WARM_UP = 200
AT_MOST = 1.05


def once(variant: str, other: str, requests: int) -> dict[str, float]:
    with load.service(variant, other, other) as service:
        service.drive(WARM_UP)
        before = service.usage()
        took = sorted(service.drive(requests))
        after = service.usage()
    return {
        "cpu_ms": (after["cpu_s"] - before["cpu_s"]) * 1e3 / len(took),
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
    }


def cell(values: Sequence[float]) -> str:
    """The median, and the interval of its bootstrap resamples."""
    low, high = h.interval(lambda samples: statistics.median(samples[0]), [values])
    return f"{statistics.median(values):.2f} ({low:.2f}-{high:.2f})"


def report_on(results: dict[str, list[dict[str, float]]], requests: int, rounds: int) -> h.Report:
    report = h.Report(f"A FastAPI service, {rounds} runs of {requests} requests")
    columns = {
        name: {key: [run[key] for run in runs] for key in ("cpu_ms", "p50", "p99")}
        for name, runs in results.items()
    }
    rows = []
    for name, found in columns.items():
        ratio = h.paired_ratio(found["cpu_ms"], columns["plain"]["cpu_ms"])
        reached = report.check(VARIANTS[name], ratio.value, AT_MOST) if name == "otrace" else ""
        cells = [cell(found[key]) for key in ("cpu_ms", "p50", "p99")]
        rows.append([VARIANTS[name], cells[0], str(ratio), *cells[1:], reached])
        report.data[name] = {**found, "ratio": ratio}
    header = ["service", "CPU ms a request", "/ OpenTelemetry alone", "p50 ms", "p99 ms", "reached"]
    report.text.append(h.table(header, rows))
    return report


def main() -> None:
    parser = h.arguments(__doc__ or "", default_rounds=10)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--variant", action="append", choices=[*VARIANTS][1:])
    options: Any = parser.parse_args()
    names = ["plain", *(options.variant or [*VARIANTS][1:])]
    with load.peers() as other:
        results = h.rounds(
            {name: lambda _, name=name: once(name, other, options.requests) for name in names},
            options.rounds,
        )
    report = report_on(results, options.requests, options.rounds)
    h.show(report)
    h.save([report], options)


if __name__ == "__main__":
    main()
