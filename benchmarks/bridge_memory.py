"""The claim: with a dead collector the processor takes its ring and at most 50 MB more.

    python benchmarks/bridge_memory.py [--requests 4000] [--rounds 3]

The service of bridge_service.py with every request captured (mode `always`), and a collector that
refuses connections, or takes them and never answers. Memory is what the process has in RAM (Pss):
its own pages, and those of files and shared memory that it maps, the ring among them; the highest
of samples under load, beside the same service with OpenTelemetry alone.
"""

from __future__ import annotations

import socket
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import _harness as h
from bridge import load

RING_MB = 64 * 1.048576
AT_MOST_MB = 50.0
PARTS = 20
COLLECTORS = ("dead", "hanging")


@contextmanager
def collector(kind: str) -> Iterator[str]:
    """The URL of one that refuses, or of one whose connections nobody ever accepts."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        if kind == "hanging":
            one.listen(128)
        yield f"http://127.0.0.1:{one.getsockname()[1]}"


def once(variant: str, kind: str, other: str, requests: int) -> dict[str, Any]:
    highest = anonymous = 0
    with collector(kind) as url, load.service(variant, other, url) as service:
        for _ in range(PARTS):
            service.drive(requests // PARTS)
            found = service.usage()
            highest = max(highest, found["kib"])
            anonymous = max(anonymous, found["anonymous_kib"])
    sizes = {"mb": highest * 1024 / 1e6, "anonymous_mb": anonymous * 1024 / 1e6}
    return {**sizes, "stats": found.get("stats")}


def report_on(kind: str, other: str, requests: int, rounds: int) -> h.Report:
    results = h.rounds(
        {
            name: lambda _, name=name: once(name, kind, other, requests)
            for name in ("plain", "otrace_always")
        },
        rounds,
    )
    report = h.Report(f"Memory with a {kind} collector, {rounds} runs of {requests} requests")
    plain, ours = ([run["mb"] for run in results[name]] for name in ("plain", "otrace_always"))
    above = max(ours) - statistics.median(plain) - RING_MB
    reached = report.check(f"above the ring, {kind}", above, AT_MOST_MB)
    own = max(run["anonymous_mb"] for run in results["otrace_always"])
    own -= statistics.median(run["anonymous_mb"] for run in results["plain"])
    row = [f"{statistics.median(plain):.0f}", f"{max(ours):.0f}", f"{own:.0f}"]
    header = ["OpenTelemetry alone MB", "with otrace MB", "anonymous, added MB"]
    row += [f"{above:.0f}", reached]
    header += ["above alone and ring MB", "reached"]
    report.text += [h.table(header, [row]), f"counters: {results['otrace_always'][-1]['stats']}"]
    report.data = results
    return report


def main() -> None:
    parser = h.arguments(__doc__ or "", default_rounds=3)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--collector", choices=COLLECTORS, action="append")
    options = parser.parse_args()
    reports = []
    with load.peers() as other:
        for kind in options.collector or COLLECTORS:
            reports.append(report_on(kind, other, options.requests, options.rounds))
            h.show(reports[-1])
    h.save(reports, options)


if __name__ == "__main__":
    main()
