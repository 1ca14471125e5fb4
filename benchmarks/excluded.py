"""Excluded code: the time of a program whose own code is excluded, beside the plain run.

On CPython 3.12 and later an excluded place is switched off in the interpreter after its first
call, so at most 1.05 of the untraced time is wanted. On 3.11 the hook stays and is only reported.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import _harness as h

WORKLOADS = ("fib", "c_calls", "objects", "generators")
AT_MOST = 1.05


def once(
    interpreter: h.Interpreter, job: h.Contender, script: list[str], cpu: int | None, folder: str
) -> dict[str, Any]:
    return h.run(job(interpreter, script, folder), cpu)


def main() -> None:
    options = h.arguments(__doc__ or "", default_rounds=15).parse_args()
    reports = []
    for interpreter in h.interpreters(options):
        report = h.Report(f"Excluded code, CPython {interpreter.text}: time / untraced time")
        rows = []
        for workload in WORKLOADS:
            script = [str(h.HERE / "workloads" / f"{workload}.py")]

            excluded = h.otrace(c_calls=True, OTRACE_EXCLUDE="__main__")
            jobs = {"untraced": h.untraced, "excluded": excluded}
            results = h.rounds(
                {
                    name: partial(once, interpreter, job, script, options.cpu)
                    for name, job in jobs.items()
                },
                options.rounds,
            )
            times = {
                name: [run[options.time] / 1e6 for run in runs] for name, runs in results.items()
            }
            ratio = h.ratio(times["excluded"], times["untraced"])
            at_most = AT_MOST if interpreter.has_monitoring else float("inf")
            reached = report.check(f"{workload}, excluded / untraced", ratio.value, at_most)
            shown = [f"{h.spread(times[name])['median']:.1f}" for name in jobs]
            rows.append([workload, *shown, str(ratio), reached])
            report.data[workload] = {"ms": times, "ratio": ratio}
        report.text.append(
            h.table(["workload", "untraced ms", "excluded ms", "ratio", "reached"], rows)
        )
        h.show(report)
        reports.append(report)
    h.save(reports, options)


if __name__ == "__main__":
    main()
