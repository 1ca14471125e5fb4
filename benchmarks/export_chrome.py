"""Recording to Chrome JSON: time a call and peak memory, beside VizTracer's save.

Ours is the whole process `otrace export`, start-up included; VizTracer's is `save()` alone.
"""

from __future__ import annotations

import os
import statistics

import _harness as h

CALLS = 31  # fib of it: 4.4 million calls
MANY_CALLS = 33  # 11.4 million
NS_AT_MOST, PEAK_AT_MOST = 200, 150e6
VIZTRACER_FIB = 26
VIZTRACER_SAVE = """
import sys, time, json
from viztracer import VizTracer
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
tracer = VizTracer(verbose=0, ignore_c_function=True, tracer_entries=1_000_000)
tracer.start(); fib({n}); tracer.stop()
wall, cpu = time.perf_counter_ns(), time.process_time_ns()
tracer.save(sys.argv[1])
wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
print("BENCH " + json.dumps({{"wall_ns": wall, "cpu_ns": cpu}}))
"""


def fib_calls(n: int) -> int:
    before, last = 1, 1
    for _ in range(n - 1):
        before, last = last, before + last + 1
    return last


def export_job(interpreter: h.Interpreter, recording: str, to: str, target: str) -> h.Job:
    command = ["-m", "otrace", "export", "--quiet", recording, "--to", to, "-o", target]
    return h.Job([interpreter.path, *command])


def measure_otrace(
    interpreter: h.Interpreter, recording: str, to: str, folder: str
) -> tuple[h.Child, int]:
    target = os.path.join(folder, "out.json" if to == "chrome" else "out.pftrace")
    child = h.whole(export_job(interpreter, recording, to, target))
    size = os.path.getsize(target)
    os.unlink(target)
    return child, size


def viztracer_save(interpreter: h.Interpreter, which: str, folder: str) -> float:
    """Nanoseconds a call."""
    code = VIZTRACER_SAVE.format(n=VIZTRACER_FIB)
    job = h.Job([interpreter.path, "-c", code, os.path.join(folder, "viz.json")])
    return float(h.run(job)[which]) / fib_calls(VIZTRACER_FIB)


def report_for(interpreter: h.Interpreter, rounds: int, which: str, folder: str) -> h.Report:
    recording = h.record(interpreter, h.fib(CALLS), folder)
    calls = h.count_calls(interpreter, recording)
    sizes: list[float] = []

    def ours(into: str) -> float:
        child, size = measure_otrace(interpreter, recording, "chrome", into)
        sizes.append(size / calls)
        return child.ns(which) / calls

    results = h.rounds(
        {"otrace": ours, "viztracer": lambda into: viztracer_save(interpreter, which, into)}, rounds
    )
    many = os.path.join(folder, "many")
    os.mkdir(many)
    large = h.record(interpreter, h.fib(MANY_CALLS), many)
    child, _ = measure_otrace(interpreter, large, "chrome", many)
    report = h.Report(f"Recording to Chrome JSON, CPython {interpreter.text}")
    per_call = statistics.median(results["otrace"])
    ratio = h.ratio(results["otrace"], results["viztracer"])
    rows = [
        ["otrace export, ns a call", f"{per_call:.0f}",
         report.check("ns a call", per_call, NS_AT_MOST)],
        ["VizTracer save, ns a call", f"{statistics.median(results['viztracer']):.0f}", ""],
        ["otrace / VizTracer", str(ratio), ""],
        ["bytes a call", f"{statistics.median(sizes):.0f}", ""],
        [f"peak memory, {h.count_calls(interpreter, large) / 1e6:.1f} million calls",
         f"{child.peak_bytes / 1e6:.0f} MB",
         report.check("peak bytes", child.peak_bytes, PEAK_AT_MOST)],
    ]  # fmt: skip
    report.text.append(h.table(["what", "figure", "reached"], rows))
    report.data = {"ns_a_call": results, "ratio": ratio, "peak_bytes": child.peak_bytes}
    return report


def main() -> None:
    options = h.arguments(__doc__ or "", default_rounds=7).parse_args()
    reports = []
    for interpreter in h.interpreters(options):
        with h.scratch() as folder:
            reports.append(report_for(interpreter, options.rounds, options.time, folder))
        h.show(reports[-1])
    h.save(reports, options)


if __name__ == "__main__":
    main()
