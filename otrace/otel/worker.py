"""The thread that reads the ring, so that no request waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace.instrument import pause
from otrace.otel.outbox import RareLog
from otrace.otel.quiet import instrumentation_suppressed
from otrace.otel.stats import count

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from otrace.otel.roots import LocalRoot

JOB_BYTES, NOTED_BYTES, HELD_BYTES = 1000, 200, 3000  # about; what a job keeps from being freed
SETTLE_S = 0.02  # calls that end their request's span have not returned yet themselves


@dataclass(frozen=True, slots=True)
class Job:
    """A local trace that is worth keeping."""

    root: LocalRoot
    span: ReadableSpan
    """The root's."""
    end_ns: int
    """On CLOCK_MONOTONIC."""
    trigger: str
    suppressed: int
    """Others of its name since the last one."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        root = self.root
        return JOB_BYTES + NOTED_BYTES * len(root.spans) + HELD_BYTES * (1 + len(root.held))


class Worker:
    """Does jobs one after the other on a thread of its own, which the first job starts.

    What waits is bounded in bytes: how long it may wait is for the ring to say, which tells what it
    has overwritten meanwhile.
    """

    def __init__(
        self, do: Callable[[Job], None], give_up: Callable[[Job], None], max_bytes: int
    ) -> None:
        self._do = do
        self._give_up = give_up
        self._max_bytes = max_bytes
        self._jobs: deque[tuple[Job, int]] = deque()
        self._bytes = 0
        self._busy = self._stopped = False
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._log = RareLog()

    def submit(self, job: Job) -> bool:
        """Take a job; False when too many wait, or the interpreter ends."""
        size = job.size
        with self._condition:
            if self._stopped or self._bytes + size > self._max_bytes:
                return False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="otrace-capture", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            self._jobs.append((job, size))
            self._bytes += size
            self._condition.notify_all()
            return True

    def flush(self, deadline: float) -> bool:
        """Wait until all jobs are done; False when `deadline` (time.monotonic) came first."""
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._jobs and not self._busy,
                timeout=max(0.0, deadline - time.monotonic()),
            )

    def close(self, deadline: float) -> None:
        """Do what can be done until the deadline; the others' spans go on as they are."""
        self.flush(deadline)
        with self._condition:
            self._stopped = True
            left = [job for job, _ in self._jobs]
            self._jobs.clear()
            self._bytes = 0
            self._condition.notify_all()
        for job in left:
            self._skip(job)
        if self._thread is not None:
            self._thread.join(max(0.1, deadline - time.monotonic()))

    def _run(self) -> None:
        with pause(), instrumentation_suppressed():
            while (job := self._next()) is not None:
                try:
                    self._do(job)
                except Exception as error:
                    self._log(f"a trace's calls could not be read: {error}")
                    self._skip(job)
                with self._condition:
                    self._busy = False
                    self._condition.notify_all()

    def _next(self) -> Job | None:
        with self._condition:
            self._condition.wait_for(lambda: self._jobs or self._stopped)
            if self._stopped:
                return None
            job, size = self._jobs.popleft()
            self._bytes -= size
            self._busy = True
        early_s = SETTLE_S - (time.monotonic_ns() - job.end_ns) / 1e9
        if early_s > 0:  # else do not even give up the GIL
            time.sleep(early_s)
        return job

    def _skip(self, job: Job) -> None:
        count("skipped")
        self._give_up(job)
