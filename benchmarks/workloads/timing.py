"""Times a workload from inside, so that start-up, saving and exporting are not in the figure.

Prints one line of JSON: wall_ns and cpu_ns (of the threads that did the work) and a checksum that
must be the same whoever watches. BENCH_REPEAT runs the work more than once.
BENCH_BASELINE="<the module's path>:<empty|clock|count>:<0|1>" sets the floor's hook around it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
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


def _install(setting: str) -> Any:
    path, mode, c_calls = setting.rsplit(":", 2)
    baseline = _load(path)
    if not hasattr(__import__("sys"), "monitoring"):
        threading.setprofile(baseline.adopt)
    baseline.install(mode == "clock", c_calls == "1", mode == "count")
    return baseline


def measure(work: Callable[[], object], threads_cpu_ns: Callable[[], int] | None = None) -> None:
    """Run `work` and print its figures. `threads_cpu_ns`: the CPU time of its own threads."""
    setting = os.environ.get("BENCH_BASELINE")
    baseline = _install(setting) if setting else None
    cpu = time.thread_time_ns()
    wall = time.perf_counter_ns()
    for _ in range(int(os.environ.get("BENCH_REPEAT", "1"))):
        checksum = work()
    wall = time.perf_counter_ns() - wall
    cpu = time.thread_time_ns() - cpu
    calls = baseline.remove() if baseline is not None else None
    if threads_cpu_ns is not None:
        cpu += threads_cpu_ns()
    figures = {"wall_ns": wall, "cpu_ns": cpu, "checksum": str(checksum), "calls": calls}
    line = "BENCH " + json.dumps(figures)
    print(line, flush=True)
