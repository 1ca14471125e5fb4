"""Tells signals that were sent to a whole process group from those sent to one process.

A signal from the terminal, from `kill -- -GROUP` or from a service manager reaches the program by
itself, and the supervisor must not pass it on a second time; one that was sent to the supervisor
alone must be passed on. The kernel does not say which it was. So the supervisor keeps a second
process in its group that does nothing but block all signals: what is pending there as well was
sent to the group.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from otrace.beside import Beside, fork_beside

SETTLE_S = 0.002  # a sender that goes from process to process may reach the witness later
ANSWER_MS = 200


class Witness:
    """The second process, seen from the supervisor."""

    def __init__(self, process: Beside) -> None:
        self.pid = process.pid
        self._process = process
        self._heard: set[int] = set()

    @classmethod
    def start(cls, signals: Iterable[int]) -> Witness | None:
        """Fork it; `signals` are blocked already. None when no process can be had."""
        watched = list(signals)
        process = fork_beside(lambda questions, answers: watch(questions, answers, watched))
        return None if process is None else cls(process)

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
            os.write(self._process.orders, b"?")
            poll = select.poll()
            poll.register(self._process.answers, select.POLLIN)
            stopped = not poll.poll(ANSWER_MS)
            if stopped:  # with the group, and only the supervisor was continued
                os.kill(self.pid, signal.SIGCONT)
            if not stopped or poll.poll(ANSWER_MS):
                answer = set(os.read(self._process.answers, 256))
                self._heard |= answer - ({0, signal.SIGCONT} if stopped else {0})

    def close(self) -> None:
        """End the process and collect it. The supervisor's death ends it too: its pipe closes."""
        self._process.close()


def watch(questions: int, answers: int, signals: list[int]) -> None:
    """Answer each byte with the signals that are pending, as bytes, after a zero byte."""
    while os.read(questions, 1):
        found = [0]
        while (info := signal.sigtimedwait(signals, 0)) is not None:
            found.append(info.si_signo)
        os.write(answers, bytes(found[:256]))
