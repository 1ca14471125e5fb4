"""Times a workload from inside, so that start-up, saving and exporting are not in the figure.

Prints one line of JSON: wall_ns and cpu_ns (of the threads that did the work) and a checksum that
must be the same whoever watches. BENCH_REPEAT runs the work more than once.
BENCH_BASELINE="<the floor's module>:<0|1>" counts the calls as well, with C calls or without; with
BENCH_ROUNDS and BENCH_HOOKS the hooks take turns instead (alternate.py).
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
from collections.abc import Callable
from typing import Any


def _load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("otrace_baseline", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(work: Callable[[], object], threads_cpu_ns: Callable[[], int] | None = None) -> None:
    """Run `work` and print its figures. `threads_cpu_ns`: the CPU time of its threads so far."""

    def once() -> tuple[int, int, str]:
        threads = 0 if threads_cpu_ns is None else threads_cpu_ns()
        cpu = time.thread_time_ns()
        wall = time.perf_counter_ns()
        for _ in range(int(os.environ.get("BENCH_REPEAT", "1"))):
            checksum = work()
        wall = time.perf_counter_ns() - wall
        cpu = time.thread_time_ns() - cpu
        if threads_cpu_ns is not None:
            cpu += threads_cpu_ns() - threads
        return wall, cpu, str(checksum)

    path, c_calls = os.environ.get("BENCH_BASELINE", ":").rsplit(":", 1)
    figures: dict[str, Any]
    if "BENCH_ROUNDS" in os.environ:
        from alternate import alternate

        hooks = os.environ["BENCH_HOOKS"].split(",")
        rounds = int(os.environ["BENCH_ROUNDS"])
        figures = alternate(once, _load(path), hooks, c_calls == "1", rounds)
    else:
        counted = None
        if path:
            from alternate import set_baseline

            counted = set_baseline(_load(path), c_calls == "1", "count")
        wall, cpu, checksum = once()
        calls = None if counted is None else counted()
        figures = {"wall_ns": wall, "cpu_ns": cpu, "checksum": checksum, "calls": calls}
    print("BENCH " + json.dumps(figures), flush=True)
