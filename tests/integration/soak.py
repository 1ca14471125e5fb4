"""Threads, forks and recordings without end, in one process whose use of everything stays flat.

    python tests/integration/soak.py --seconds 600

Each cycle starts a recording around threads that live on, starts short threads, forks, runs a
child, stops, and compares what was recorded with what was done. Memory, descriptors, mappings,
threads and files are sampled; in the second half of the time they must not grow.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from statistics import median

import otrace

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
LIVING, SHORT, STEPS = 3, 4, 300
FIRST_CYCLES = 20  # pools, caches and arenas fill in these
MEMORY_MOST_KIB = 8192  # the C library takes a step or two when it changes how it keeps blocks
GROWTH_MOST_KIB = 512  # in the second half
MAPPINGS_MOST = 30  # allocators move a little

CHILD = "def step(i):\n    return i\nfor i in range(300):\n    step(i)\n"


def step(i: int) -> int:
    return i


def work() -> None:
    for i in range(STEPS):
        step(i)


class Living:
    """A thread that is alive through all recordings, and works when told."""

    def __init__(self, number: int) -> None:
        self.go, self.done = threading.Event(), threading.Event()
        self.end = False
        self.thread = threading.Thread(target=self.run, name=f"living {number}")
        self.thread.start()

    def run(self) -> None:
        while True:
            self.go.wait()
            self.go.clear()
            if self.end:
                return
            work()
            self.done.set()

    def turn(self) -> None:
        self.done.clear()
        self.go.set()

    def stop(self) -> None:
        self.end = True
        self.go.set()
        self.thread.join()


def fork() -> None:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0


def recorded_steps(recording: otrace.Recording) -> Counter[int]:
    """The calls of `step` by process."""
    steps: Counter[int] = Counter()
    for process in recording.processes:
        for track in process.tracks:
            for batch in track.batches():
                for index in batch.function:
                    steps[process.pid] += process.functions[index].name.endswith(".step")
    return steps


def cycle(number: int, living: list[Living]) -> None:
    """One recording with everything in it; checks that nothing is missing and nothing too much."""
    work()  # before: not in the recording
    otrace.start(buffer_size="4MiB", c_calls=number % 2 == 0)
    for each in living:
        each.turn()
    short = [threading.Thread(target=work, name=f"short {n}") for n in range(SHORT)]
    for thread in short:
        thread.start()
    work()
    fork()
    children = 1
    if number % 10 == 0:
        subprocess.run([sys.executable, "-c", CHILD], check=True)
        children += 1
    for thread in short:
        thread.join()
    for each in living:
        each.done.wait()
    steps = recorded_steps(otrace.stop())
    own = steps.pop(os.getpid())
    assert own == STEPS * (1 + SHORT + LIVING), own
    assert sorted(steps.values()) == [STEPS] * children, steps


def sample(folder: str) -> dict[str, int]:
    """What this process uses now."""
    gc.collect()
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    with open("/proc/self/maps") as file:
        maps = file.readlines()
    return {
        "memory_kib": int(status["RssAnon"].split()[0]),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mappings": len(maps),
        "segments mapped": sum(".segment" in line for line in maps),
        "threads": int(status["Threads"]),
        "files": len(os.listdir(folder)),
    }


def check(samples: list[dict[str, int]]) -> None:
    """The second half uses no more than the first."""
    half = len(samples) // 2
    for name in samples[0]:
        before = median(each[name] for each in samples[:half])
        after = median(each[name] for each in samples[half:])
        spare = {"memory_kib": MEMORY_MOST_KIB, "mappings": MAPPINGS_MOST}.get(name, 0)
        assert after <= before + spare, (name, before, after)
    memory = [each["memory_kib"] for each in samples[half:]]
    assert max(memory) - memory[0] <= GROWTH_MOST_KIB, memory
    assert not any(each["segments mapped"] or each["files"] for each in samples)


def soak(seconds: float, told: Callable[[dict[str, int]], object]) -> None:
    """Cycles until the time is over, and a few at least."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        living = [Living(n) for n in range(LIVING)]
        try:
            samples = []
            end = time.monotonic() + seconds
            number = 0
            while number < FIRST_CYCLES + 6 or time.monotonic() < end:
                number += 1
                cycle(number, living)
                if number > FIRST_CYCLES and (number % 50 == 0 or seconds < 60):
                    samples.append(sample(folder))
                    told({"cycle": number, **samples[-1]})
        finally:
            for each in living:
                each.stop()
    check(samples)


def main() -> None:
    """The command line: one JSON line a sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    soak(parser.parse_args().seconds, lambda numbers: print(json.dumps(numbers), flush=True))


if __name__ == "__main__":
    main()
