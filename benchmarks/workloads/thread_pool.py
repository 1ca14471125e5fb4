"""Four threads of a pool, each with Python and C calls."""

import time
from concurrent.futures import ThreadPoolExecutor

from timing import measure

_cpu_ns: list[int] = []


def step(values: list[int], i: int) -> int:
    values.append(i)
    return len(values)


def task(count: int) -> int:
    began = time.thread_time_ns()
    values: list[int] = []
    total = 0
    for i in range(count):
        total += step(values, i) & 1
    _cpu_ns.append(time.thread_time_ns() - began)
    return total


def work() -> int:
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(task, [20_000] * 16))


measure(work, lambda: sum(_cpu_ns))
