from __future__ import annotations

import threading
import time

from opentelemetry.sdk.trace import ReadableSpan

from otrace.otel.roots import LocalRoot
from otrace.otel.stats import reset, stats
from otrace.otel.worker import Job, Worker


def job(held: int = 0) -> Job:
    root = LocalRoot(1, 2, holds=True)
    root.note(1, 0)
    root.held += [ReadableSpan("held")] * held
    return Job(root, ReadableSpan("root"), 0, "slow", 0)


def test_what_waits_is_bounded_in_bytes() -> None:
    begun, over = threading.Event(), threading.Event()
    done: list[Job] = []

    def do(one: Job) -> None:
        begun.set()
        assert over.wait(60)
        done.append(one)

    one = Worker(do, lambda job: None, max_bytes=150 * job().size)
    assert one.submit(job())
    assert begun.wait(10)
    assert all(one.submit(job()) for _ in range(150))
    assert not one.submit(job())
    over.set()
    assert one.flush(time.monotonic() + 60)
    assert len(done) == 151
    assert one.submit(job())
    assert not one.submit(job(held=1000))
    one.close(time.monotonic() + 60)


def test_what_waits_at_the_end_is_skipped_and_goes_on() -> None:
    reset()
    begun, over = threading.Event(), threading.Event()
    left: list[Job] = []

    def do(one: Job) -> None:
        begun.set()
        assert over.wait(60)

    def give_up(one: Job) -> None:
        left.append(one)
        over.set()

    one = Worker(do, give_up, max_bytes=1 << 20)
    first, second = job(), job()
    assert one.submit(first)
    assert begun.wait(10)
    assert one.submit(second)
    one.close(deadline=0)
    assert left == [second]
    assert stats()["skipped"] == 1
    assert not one.submit(job())
