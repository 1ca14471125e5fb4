"""Processes beside the supervisor's: forked from it, a pipe each way, nothing else open."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple


class Beside(NamedTuple):
    """Such a process, seen from the supervisor. Its descriptors are the supervisor's."""

    pid: int
    orders: int
    """Written to by the supervisor; closed by its death."""
    answers: int

    def close(self) -> None:
        """Close the pipes, and collect the process once it has ended."""
        os.close(self.orders)
        os.close(self.answers)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def fork_beside(live: Callable[[int, int], None], *kept: int) -> Beside | None:
    """Fork a process that ends when `live` returns; None when none can be had.

    `live` gets the ends to read orders from and to write answers to. Of the other descriptors the
    process has only those `kept`.
    """
    order_end, orders = _pipe()
    answers, answer_end = _pipe()
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid == 0:
        try:
            _close_all_but(order_end, answer_end, *kept)
            live(order_end, answer_end)
        finally:
            os._exit(0)
    os.close(order_end)
    os.close(answer_end)
    if pid < 0:
        os.close(orders)
        os.close(answers)
        return None
    return Beside(pid, orders, answers)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the standard streams, even where those are closed."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3))
        os.close(end)
    return ends[0], ends[1]


def _close_all_but(*kept: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))
