"""Added time a call: otrace beside the floor, an empty hook that reads the clock twice a call.

For each workload the hooks take turns in one process, so that all meet the same layout of code and
heap (workloads/alternate.py), and several processes are started, since that layout is chance. What
a hook adds is the median, over all turns, of its time less the untraced time of the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

import _harness as h

HOOKS = ("untraced", "empty", "clock", "otrace")
AT_MOST = 1.2


def turns(
    interpreter: h.Interpreter, module: str, workload: str, kind: str, options: Any
) -> dict[str, Any]:
    """One process: its figures as the workload prints them."""
    script = [str(h.HERE / "workloads" / f"{workload}.py")]
    environment = {
        "BENCH_BASELINE": f"{module}:{kind == 'c':d}",
        "BENCH_ROUNDS": str(options.rounds),
        "BENCH_HOOKS": ",".join(HOOKS),
    }
    return h.run(h.Job([interpreter.path, *script], environment), options.cpu)


def added(samples: dict[str, Sequence[float]]) -> dict[str, list[float]]:
    """By hook: its time less the untraced time, for each round."""
    plain = samples["untraced"]
    return {
        hook: [one - nothing for one, nothing in zip(samples[hook], plain, strict=True)]
        for hook in HOOKS[1:]
    }


def row(
    options: Any, report: h.Report, interpreter: h.Interpreter, module: str, which: tuple[str, str]
) -> list[str]:
    workload, kind = which
    found = [turns(interpreter, module, workload, kind, options) for _ in range(options.processes)]
    python_calls, c_calls = found[0]["calls"]
    calls = python_calls + (c_calls if kind == "c" else 0)
    samples: dict[str, Sequence[float]] = {
        hook: [ns / calls for figures in found for ns in figures[options.time][hook]]
        for hook in HOOKS
    }
    more = added(samples)
    ratio = h.paired_ratio(more["otrace"], more["clock"])
    reached = report.check(f"{workload} / clock", ratio.value, AT_MOST)
    report.data[workload] = {"calls": calls, "ns": samples, "ratio": ratio}
    return [
        workload,
        str(calls),
        f"{statistics.median(samples['untraced']):.0f}",
        *(f"{statistics.median(more[hook]):.1f}" for hook in HOOKS[1:]),
        str(ratio),
        reached,
    ]


def main() -> None:
    parser = h.workload_arguments(__doc__ or "", default_rounds=15)
    parser.add_argument("--processes", type=int, default=3)
    options = parser.parse_args()
    header = ["workload", "calls", "untraced ns", *HOOKS[1:], "otrace/clock", "reached"]
    h.measure_workloads(options, lambda _: header, partial(row, options))


if __name__ == "__main__":
    main()
