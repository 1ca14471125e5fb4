"""Added time a call: otrace beside VizTracer, trace0 and cProfile.

For each workload: the added nanoseconds a recorded call, and our added time as a part of each
peer's.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import _harness as h

#: What our added time is compared with, and the most it may be of it.
BARS = {
    "py": {"viztracer": 0.7, "trace0": 1.0},
    "c": {"viztracer": 0.8, "cprofile": 1.0},
}


def contenders(
    interpreter: h.Interpreter, kind: str, peers: Sequence[str]
) -> dict[str, h.Contender]:
    """By name; `kind` py: Python calls only, c: C calls too."""
    c_calls = kind == "c"
    everything: dict[str, h.Contender] = {
        "untraced": h.untraced,
        "otrace": h.otrace(c_calls=c_calls),
        "viztracer": h.viztracer(*([] if c_calls else ["--ignore_c_function"])),
    }
    if c_calls:
        everything["cprofile"] = h.cprofile
    elif interpreter.has_trace0:
        everything["trace0"] = h.trace0
    return {
        name: job
        for name, job in everything.items()
        if not peers or name in peers or name in ("untraced", "otrace")
    }


def measure(
    interpreter: h.Interpreter, module: str, workload: str, kind: str, options: Any
) -> dict[str, Any]:
    script = [str(h.HERE / "workloads" / f"{workload}.py")]

    def once(job: h.Contender, folder: str) -> dict[str, Any]:
        figures = h.run(job(interpreter, script, folder), options.cpu)
        if Path(folder, "x.otrace").exists() and not list(Path(folder).glob("*/*.segment")):
            raise RuntimeError(f"{workload}: otrace recorded nothing")
        return figures

    jobs = contenders(interpreter, kind, options.peer)
    results = h.rounds({name: partial(once, job) for name, job in jobs.items()}, options.rounds)
    count = partial(once, h.counting(module))
    with tempfile.TemporaryDirectory() as folder:
        python_calls, c_calls = count(folder)["calls"]
    calls = python_calls + (c_calls if kind == "c" else 0)
    checksums = {result["checksum"] for runs in results.values() for result in runs}
    if len(checksums) != 1:
        raise RuntimeError(f"{workload}: results differ: {checksums}")
    samples = {
        name: [float(result[options.time]) for result in runs] for name, runs in results.items()
    }
    return {"calls": calls, "samples": samples}


def row(
    options: Any, report: h.Report, interpreter: h.Interpreter, module: str, which: tuple[str, str]
) -> list[str]:
    key, kind = which
    found = measure(interpreter, module, key, kind, options)
    samples, calls = found["samples"], found["calls"]
    plain = statistics.median(samples["untraced"])
    added = {
        name: (statistics.median(sample) - plain) / calls
        for name, sample in samples.items()
        if name != "untraced"
    }
    ratios = {
        peer: h.added_ratio(samples["otrace"], samples[peer], samples["untraced"])
        for peer in BARS[kind]
        if peer in samples
    }
    reached = [
        report.check(f"{key} / {peer}", r.value, BARS[kind][peer]) for peer, r in ratios.items()
    ]
    report.data[key] = {"calls": calls, "samples": samples, "added_ns": added, "ratios": ratios}
    names = ["otrace", "viztracer", "trace0" if kind == "py" else "cprofile"]
    return [
        key,
        str(calls),
        f"{plain / calls:.0f}",
        *(f"{added[name]:.0f}" if name in added else "-" for name in names),
        *(str(ratios.get(peer, "-")) for peer in BARS[kind]),
        "yes" if "no" not in reached else "no",
    ]


def header(kind: str) -> list[str]:
    last = "trace0" if kind == "py" else "cProfile"
    return [
        "workload", "calls", "untraced ns", "otrace", "VizTracer", last,
        "otrace/VizTracer", f"/{last}", "reached",
    ]  # fmt: skip


def main() -> None:
    parser = h.workload_arguments(__doc__ or "")
    parser.add_argument("--peer", action="append", help="only these peers")
    options = parser.parse_args()
    options.peer = options.peer or []
    h.measure_workloads(options, header, partial(row, options))


if __name__ == "__main__":
    main()
