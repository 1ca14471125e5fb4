"""Functions that cost more to record than they do, beside ordinary ones, on two threads; then they
are called seldom. Prints how often some were called."""

import contextlib
import json
import threading
import time

calls = {"work": 0, "seldom": 0, "tiny": 0}
lock = threading.Lock()


def tiny(value):
    return value


def recursive(depth):
    return 1 if depth < 2 else recursive(depth - 1) + recursive(depth - 2)


def generator():
    yield from range(50)


def raising():
    raise KeyError


def work():
    total = 0
    for value in range(3000):
        total += value
    with lock:
        calls["work"] += 1
        calls["tiny"] += 1000


def seldom():
    calls["seldom"] += 1
    calls["tiny"] += 1


def hot():
    for value in range(1000):
        tiny(value)
    recursive(11)
    for _ in generator():
        pass
    with contextlib.suppress(KeyError):
        raising()
    work()


def run_hot(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hot()


def run_calm(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        seldom()
        time.sleep(0.05)
        tiny(0)


start = time.perf_counter()
thread = threading.Thread(target=run_hot, args=(0.5,))
thread.start()
run_hot(0.5)
thread.join()
# What is off rests for 2 s, and twice as long each time that it is found hot again.
run_calm(time.perf_counter() - start + 3)
print(json.dumps(calls))
