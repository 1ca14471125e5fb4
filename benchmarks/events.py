"""log_event, log_instant and log_counter beside VizTracer's log_event, log_instant, log_var.

Nanoseconds of CPU time each, in a loop, less the empty loop; both record Python calls only.
"""

from __future__ import annotations

import os
import statistics
from functools import partial

import _harness as h

COUNT = 50_000
AT_MOST = 0.5

LOOPS = """
import json, time
def timed(loop):
    began = time.thread_time_ns()
    loop()
    return time.thread_time_ns() - began
def empty():
    for i in range({count}):
        pass
def event():
    for i in range({count}):
        with {event}:
            pass
def instant():
    for i in range({count}):
        {instant}
def counter():
    for i in range({count}):
        {counter}
nothing = timed(empty)
result = {{f.__name__: (timed(f) - nothing) / {count} for f in (event, instant, counter)}}
"""
OTRACE = (
    "import otrace\n"
    + LOOPS.format(
        count=COUNT,
        event='otrace.log_event("load")',
        instant='otrace.log_instant("miss", key=i)',
        counter='otrace.log_counter("queue", depth=i)',
    )
    + 'print("BENCH " + json.dumps(result))\n'
)
VIZTRACER = (
    "from viztracer import VizTracer\n"
    "tracer = VizTracer(verbose=0, ignore_c_function=True)\ntracer.start()\n"
    + LOOPS.format(
        count=COUNT,
        event='tracer.log_event("load")',
        instant='tracer.log_instant("miss", args={"key": i})',
        counter='tracer.log_var("queue", i)',
    )
    + 'tracer.stop()\nprint("BENCH " + json.dumps(result))\n'
)


def ours(interpreter: h.Interpreter, folder: str) -> dict[str, float]:
    session = os.path.join(folder, "x.otrace")
    os.mkdir(session, 0o700)
    environment = {"OTRACE_SESSION": session, "OTRACE_C_CALLS": "0"}
    return h.run(h.Job([interpreter.path, "-c", OTRACE], environment))


def theirs(interpreter: h.Interpreter, folder: str) -> dict[str, float]:
    return h.run(h.Job([interpreter.path, "-c", VIZTRACER]))


def report_for(interpreter: h.Interpreter, rounds: int) -> h.Report:
    report = h.Report(f"Events, ns each, CPython {interpreter.text}")
    results = h.rounds(
        {"otrace": partial(ours, interpreter), "viztracer": partial(theirs, interpreter)}, rounds
    )
    rows = []
    names = {
        "event": ["log_event enter + exit", "log_event"],
        "instant": ["log_instant, 1 attribute", "log_instant"],
        "counter": ["log_counter", "log_var"],
    }
    for key, shown in names.items():
        samples = {who: [run[key] for run in runs] for who, runs in results.items()}
        ratio = h.ratio(samples["otrace"], samples["viztracer"])
        reached = report.check(f"{shown[0]}, otrace / VizTracer", ratio.value, AT_MOST)
        medians = [f"{statistics.median(sample):.0f}" for sample in samples.values()]
        rows.append([*shown, *medians, str(ratio), reached])
        report.data[key] = {"ns": samples, "ratio": ratio}
    header = ["otrace", "VizTracer", "otrace ns", "VizTracer ns", "ratio", "reached"]
    report.text.append(h.table(header, rows))
    return report


def main() -> None:
    options = h.arguments(__doc__ or "").parse_args()
    reports = []
    for interpreter in h.interpreters(options):
        reports.append(report_for(interpreter, options.rounds))
        h.show(reports[-1])
    h.save(reports, options)


if __name__ == "__main__":
    main()
