"""CPU time of a whole traced run, the Perfetto file included, beside trace0 (CPython 3.13+).

User and system time of all processes: for otrace the program, its supervisor and the export; for
trace0 the program with its writer thread. Added: less that of the plain run. The work is repeated
so that it takes about half a second: what starting costs is told by startup.py.
"""

from __future__ import annotations

import os
import statistics
from functools import partial

import _harness as h

WORKLOADS = ("fib", "objects", "generators", "json_encode", "html_parser")
AT_MOST = 0.6
REPEAT = "10"


def otrace_run(interpreter: h.Interpreter, script: list[str], folder: str) -> h.Job:
    target = os.path.join(folder, "t.pftrace")
    command = ["-m", "otrace", "run", "--quiet", "--no-c-calls", "-o", target]
    return h.Job([interpreter.path, *command, *script])


def report_for(interpreter: h.Interpreter, rounds: int) -> h.Report:
    report = h.Report(f"Added CPU time with a Perfetto file, CPython {interpreter.text}")
    rows = []
    jobs: dict[str, h.Contender] = {
        "untraced": h.untraced,
        "otrace": lambda i, s, f: otrace_run(i, list(s), f),
        "trace0": h.trace0,
    }
    for workload in WORKLOADS:
        script = [str(h.HERE / "workloads" / f"{workload}.py")]

        def once(job: h.Contender, script: list[str], folder: str) -> float:
            found = job(interpreter, script, folder)
            environment = {**found.environment, "BENCH_REPEAT": REPEAT}
            return h.whole(h.Job(found.argv, environment)).cpu_s * 1e3

        results = h.rounds({name: partial(once, job, script) for name, job in jobs.items()}, rounds)
        ratio = h.added_ratio(results["otrace"], results["trace0"], results["untraced"])
        reached = report.check(f"{workload}, otrace / trace0", ratio.value, AT_MOST)
        medians = [f"{statistics.median(results[name]):.0f}" for name in jobs]
        rows.append([workload, *medians, str(ratio), reached])
        report.data[workload] = {"cpu_ms": results, "ratio": ratio}
    header = [
        "workload",
        "untraced ms",
        "otrace ms",
        "trace0 ms",
        "added, otrace/trace0",
        "reached",
    ]
    report.text.append(h.table(header, rows))
    return report


def main() -> None:
    options = h.arguments(__doc__ or "").parse_args()
    reports = []
    for interpreter in h.interpreters(options):
        if interpreter.has_trace0:
            reports.append(report_for(interpreter, options.rounds))
            h.show(reports[-1])
    h.save(reports, options)


if __name__ == "__main__":
    main()
