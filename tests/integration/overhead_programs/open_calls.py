"""Calls that are open while their function is switched off: inner ones come and go, each outer
one ends before `after` begins."""

import contextlib
import time


def visit(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(200):
            visit(0)
        spend()


def spend():
    sum(range(2000))


def produce(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(200):
            next(produce(0), None)
        spend()
    yield 1


def fail(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(200):
            with contextlib.suppress(KeyError):
                fail(0)
        spend()
    raise KeyError


def after():
    pass


def around(function):
    with contextlib.suppress(KeyError):
        function(0.7)
    after()
    time.sleep(0.05)


around(visit)
around(lambda seconds: list(produce(seconds)))
around(fail)
