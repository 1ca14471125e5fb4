"""Recording to a native Perfetto file: bytes and nanoseconds a call.

The whole process `otrace export`, start-up included. (That Perfetto reads it faster than the JSON
is shown by the tests in tests/services, which have a Perfetto.)
"""

from __future__ import annotations

import statistics

import _harness as h
from export_chrome import CALLS, measure_otrace

BYTES_AT_MOST = 30


def report_for(interpreter: h.Interpreter, rounds: int, which: str, folder: str) -> h.Report:
    recording = h.record(interpreter, h.fib(CALLS), folder)
    calls = h.count_calls(interpreter, recording)
    results = h.rounds(
        {"otrace": lambda into: measure_otrace(interpreter, recording, "perfetto", into)}, rounds
    )["otrace"]
    size = results[0][1] / calls
    times = [child.ns(which) / calls for child, _ in results]
    report = h.Report(f"Recording to Perfetto, CPython {interpreter.text}")
    figures = h.spread(times)
    rows = [
        ["bytes a call, uncompressed", f"{size:.1f}",
         report.check("bytes a call", size, BYTES_AT_MOST)],
        ["ns a call", f"{statistics.median(times):.0f} ({figures['min']:.0f}-{figures['max']:.0f})",
         ""],
    ]  # fmt: skip
    report.text.append(h.table(["what", "figure", "reached"], rows))
    report.data = {"bytes_a_call": size, "ns_a_call": times}
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
