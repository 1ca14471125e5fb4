"""A call that begins while its function is off, and ends when it is on again."""

import time


def visit(seconds):
    if seconds:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            time.sleep(0.01)
            spend()
    return seconds  # the one place where all its calls end


def spend():
    sum(range(3000))


def hot(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(500):
            visit(0)


def later():
    for _ in range(2000):
        visit(0)


hot(0.3)
visit(2.5)  # what is off rests for 2 s
later()
