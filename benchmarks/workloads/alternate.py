"""Times one workload under several hooks by turns, in one process and over one heap.

Where code and objects happen to lie changes a workload's time by more from one process to the next
than a hook's clock reads cost. Here all hooks meet the same layout, and each round's figures are
compared with each other only.
"""

from __future__ import annotations

import gc
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: (wall_ns, cpu_ns, checksum) of the work done once
Once = Callable[[], tuple[int, int, str]]
#: Timed runs of a turn, of which the quickest counts, after one that meets the new hook first.
RUNS = 3


def _otrace(c_calls: bool) -> Callable[[], None]:
    import otrace

    folder = tempfile.TemporaryDirectory(prefix="otrace-bench-")
    otrace.start(c_calls=c_calls, session_dir=folder.name)

    def off() -> None:
        written = list(Path(folder.name).glob("*/*.segment"))
        otrace.stop()
        if not written:
            raise RuntimeError("otrace recorded nothing")
        folder.cleanup()

    return off


def set_baseline(baseline: Any, c_calls: bool, mode: str) -> Callable[[], tuple[int, int]]:
    """Sets the floor's hook: `empty`, `clock` or `count`. Returns what takes it away again, and
    tells the Python and C calls that `count` met.
    """
    if not hasattr(sys, "monitoring"):
        threading.setprofile(baseline.adopt)
    baseline.install(mode == "clock", c_calls, mode == "count")

    def off() -> tuple[int, int]:
        calls: tuple[int, int] = baseline.remove()
        if not hasattr(sys, "monitoring"):
            threading.setprofile(None)
        return calls

    return off


def _hook(mode: str, baseline: Any, c_calls: bool) -> Callable[[], object]:
    """Sets a hook; returns what takes it away."""
    if mode == "untraced":
        return lambda: None
    if mode == "otrace":
        return _otrace(c_calls)
    return set_baseline(baseline, c_calls, mode)


def alternate(
    once: Once, baseline: Any, modes: list[str], c_calls: bool, rounds: int
) -> dict[str, Any]:
    """`rounds` turns of each mode: the wall and CPU time of each turn, by mode."""
    counted = set_baseline(baseline, True, "count")
    checksums = {once()[2]}
    calls = counted()
    times: dict[str, dict[str, list[int]]] = {
        name: {mode: [] for mode in modes} for name in ("wall_ns", "cpu_ns")
    }
    chance = random.Random(3)
    for _ in range(rounds):
        for mode in chance.sample(modes, len(modes)):
            off = _hook(mode, baseline, c_calls)
            once()
            gc.collect()
            found = [once() for _ in range(RUNS)]
            off()
            times["wall_ns"][mode].append(min(wall for wall, _, _ in found))
            times["cpu_ns"][mode].append(min(cpu for _, cpu, _ in found))
            checksums |= {checksum for _, _, checksum in found}
    if len(checksums) != 1:
        raise RuntimeError(f"results differ: {checksums}")
    return {"calls": calls, "checksum": checksums.pop(), **times}
