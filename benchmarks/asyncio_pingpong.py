"""Time added to asynchronous programs, beside VizTracer with and without --log_async.

`pingpong`: two tasks that wake each other, 100,000 awaits. `http_load`: httpx and uvicorn in one
loop. With --log_async VizTracer shows tasks; otrace does always.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import _harness as h

WORKLOADS = {"pingpong": 100_000, "http_load": 300}  # and how many awaits, or requests, they are of
BAR = 0.6
PEERS = {"viztracer": (), "viztracer --log_async": ("--log_async",)}


def contenders(kind: str) -> dict[str, h.Contender]:
    """By name; `kind` py: Python calls only, c: C calls too."""
    only = [] if kind == "c" else ["--ignore_c_function"]
    jobs: dict[str, h.Contender] = {
        "untraced": h.untraced,
        "otrace": h.otrace(c_calls=kind == "c"),
    }
    return jobs | {name: h.viztracer(*flags, *only) for name, flags in PEERS.items()}


def measure(interpreter: h.Interpreter, workload: str, kind: str, options: Any) -> dict[str, Any]:
    script = [str(h.HERE / "async_workloads" / f"{workload}.py")]

    def once(job: h.Contender, folder: str) -> dict[str, Any]:
        return h.run(job(interpreter, script, folder), options.cpu)

    jobs = {name: partial(once, job) for name, job in contenders(kind).items()}
    results = h.rounds(jobs, options.rounds)
    checksums = {result["checksum"] for runs in results.values() for result in runs}
    if len(checksums) != 1:
        raise RuntimeError(f"{workload}: results differ: {checksums}")
    return {
        name: [float(result[options.time]) for result in runs] for name, runs in results.items()
    }


def row(report: h.Report, workload: str, kind: str, samples: dict[str, Any]) -> Sequence[str]:
    plain = statistics.median(samples["untraced"])
    each = WORKLOADS[workload]
    ratios = {
        peer: h.added_ratio(samples["otrace"], samples[peer], samples["untraced"]) for peer in PEERS
    }
    key = f"{workload}, {'C calls too' if kind == 'c' else 'Python only'}"
    reached = [report.check(f"{key} / {peer}", r.value, BAR) for peer, r in ratios.items()]
    report.data[key] = {"samples": samples, "ratios": {n: str(r) for n, r in ratios.items()}}
    added = [
        f"{(statistics.median(samples[name]) - plain) / each / 1000:.2f}"
        for name in ("otrace", *PEERS)
    ]
    return [
        key,
        f"{plain / each / 1000:.2f}",
        *added,
        *(str(ratio) for ratio in ratios.values()),
        "yes" if "no" not in reached else "no",
    ]


def main() -> None:
    parser = h.arguments(__doc__ or "")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS))
    parser.add_argument("--kind", action="append", choices=["py", "c"])
    options = parser.parse_args()
    reports = []
    for interpreter in h.interpreters(options):
        report = h.Report(f"Added µs an await or a request, CPython {interpreter.text}")
        rows = []
        for workload in options.workload or WORKLOADS:
            for kind in options.kind or ["py", "c"]:
                samples = measure(interpreter, workload, kind, options)
                rows.append(row(report, workload, kind, samples))
                print(interpreter.text, *rows[-1], file=sys.stderr, flush=True)
        header = ["workload", "untraced µs", "otrace", *PEERS, "otrace/VizTracer", "/--log_async"]
        report.text.append(h.table([*header, "reached"], rows))
        reports.append(report)
        h.show(report)
    h.save(reports, options)


if __name__ == "__main__":
    main()
