"""Tells signals that were sent to a whole process group from those sent to one process.

A signal from the terminal, from `kill -- -GROUP` or from a service manager reaches the program by
itself, and the supervisor must not pass it on a second time; one that was sent to the supervisor
alone must be passed on. The kernel does not say which it was. So the supervisor keeps a second
process in its group that does nothing but block all signals: what is pending there as well was
sent to the group.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

SETTLE_S = 0.002  # a sender that goes from process to process may reach the witness later
ANSWER_MS = 200


class Witness:
    """The second process, seen from the supervisor."""

    def __init__(self, pid: int, asking: int, answers: int) -> None:
        self.pid = pid
        self._asking = asking
        self._answers = answers
        self._heard: set[int] = set()

    @classmethod
    def start(cls, signals: Iterable[int]) -> Witness | None:
        """Fork it; `signals` are blocked already. None when no process can be had."""
        question_end, asking = pipe()
        answers, answer_end = pipe()
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            try:
                close_all_but(question_end, answer_end)
                watch(question_end, answer_end, list(signals))
            finally:
                os._exit(0)
        os.close(question_end)
        os.close(answer_end)
        if pid < 0:
            os.close(asking)
            os.close(answers)
            return None
        return cls(pid, asking, answers)

    def heard(self, signum: int) -> bool:
        """Whether the whole group got this signal, which the supervisor has just taken."""
        if signum not in self._heard:
            time.sleep(SETTLE_S)
            self._ask()
        heard = signum in self._heard
        self._heard.discard(signum)
        return heard

    def _ask(self) -> None:
        with suppress(OSError):
            os.write(self._asking, b"?")
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            stopped = not poll.poll(ANSWER_MS)
            if stopped:  # with the group, and only the supervisor was continued
                os.kill(self.pid, signal.SIGCONT)
            if not stopped or poll.poll(ANSWER_MS):
                answer = set(os.read(self._answers, 256))
                self._heard |= answer - ({0, signal.SIGCONT} if stopped else {0})

    def close(self) -> None:
        """End the process and collect it. The supervisor's death ends it too: its pipe closes."""
        os.close(self._asking)
        os.close(self._answers)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the standard streams, even where those are closed."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3))
        os.close(end)
    return ends[0], ends[1]


def watch(questions: int, answers: int, signals: list[int]) -> None:
    """Answer each byte with the signals that are pending, as bytes, after a zero byte."""
    while os.read(questions, 1):
        found = [0]
        while (info := signal.sigtimedwait(signals, 0)) is not None:
            found.append(info.si_signo)
        os.write(answers, bytes(found[:256]))


def close_all_but(*kept: int) -> None:
    """Close every descriptor except these: the witness holds nothing of the program's open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))
