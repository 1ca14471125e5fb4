"""Exports while the program runs: by a process beside the supervisor's, from outside the program.

An exporter that can do so has the methods of `Following`. Its process reads the recording every
few seconds and ends with the supervisor. When it has sent nothing by the end of the program, or
was killed, the recording is exported afterwards as by any other exporter.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol, runtime_checkable

from otrace.beside import Beside, fork_beside
from otrace.errors import ExportError, OtraceError
from otrace.exporting import Exporter, ExportResult

LONGEST_PAUSE_S = 60.0  # between readings, while they fail
SAY_AGAIN_S = 300.0
NICENESS = 5  # the program comes first
FINISH = b"F"


class Follower(Protocol):
    """Sends a recording that grows."""

    pause: Callable[[float], None]
    """Set by the caller: how to wait. It returns early when the program has ended."""

    @property
    def has_sent(self) -> bool:
        """Whether anything was sent."""

    def poll(self, path: str) -> None:
        """Send what is complete in the session folder. Raises OtraceError: it is tried again."""

    def finish(self, path: str) -> ExportResult:
        """The program has ended: send the rest. Raises OtraceError."""


@runtime_checkable
class Following(Protocol):
    """What an exporter has besides when it can send while the program runs."""

    def follows(self, options: Mapping[str, object]) -> float:
        """Seconds between readings; 0: only after the program's end. Imports nothing heavy."""

    def follow(self, target: str | None, options: Mapping[str, object]) -> Follower:
        """Called in the process that sends, before its first reading."""


class LiveExport:
    """The process that sends, seen from the supervisor."""

    def __init__(self, process: Beside) -> None:
        self._process = process

    @classmethod
    def start(
        cls,
        exporter: Exporter,
        target: str | None,
        options: Mapping[str, object],
        path: str,
        say: Callable[[str], None],
    ) -> LiveExport | None:
        """Fork it. None when the exporter does not follow programs, or no process can be had."""
        if not isinstance(exporter, Following) or exporter.follows(options) <= 0:
            return None

        def live(orders: int, answers: int) -> None:
            answer = serve(exporter, target, options, path, Orders(orders), say)
            os.write(answers, json.dumps(answer).encode())

        process = fork_beside(live, 0, 1, 2)
        return None if process is None else cls(process)

    def finish(self) -> ExportResult | None:
        """Have the rest sent. None: nothing was sent, all is still to be exported.

        Raises ExportError when the rest could not be sent; KeyboardInterrupt ends the process.
        """
        try:
            with suppress(OSError):  # it is gone
                os.write(self._process.orders, FINISH)
            with open(self._process.answers, "rb", closefd=False) as file:
                answer = file.read()
        except BaseException:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            raise
        finally:
            self._process.close()
        told = json.loads(answer) if answer else {}
        if "error" in told:
            raise ExportError(told["error"])
        return ExportResult(**told) if told else None


class Orders:
    """The sending process's end: a byte is to finish, an end without it to go at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.come = False

    def wait(self, seconds: float) -> None:
        """Wait, no longer than until an order comes."""
        if self.come:
            time.sleep(seconds)  # between the last attempts
        else:
            self.come = bool(select.select([self._descriptor], [], [], max(0.0, seconds))[0])

    def is_to_finish(self) -> bool:
        """Whether the rest is to be sent; asked once, when an order has come."""
        return os.read(self._descriptor, 1) == FINISH


class Told:
    """Says that sending fails: at once, and then now and then as long as it does."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._next = 0.0

    def failed(self, error: Exception) -> None:
        """A reading has failed."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SAY_AGAIN_S
            self._say(f"{words_of(error)}; it is tried again while the program runs")


def words_of(error: Exception) -> str:
    """An error for a message; one that is not otrace's with its type."""
    return str(error) if isinstance(error, OtraceError) else f"{type(error).__name__}: {error}"


def serve(
    exporter: Following,
    target: str | None,
    options: Mapping[str, object],
    path: str,
    orders: Orders,
    say: Callable[[str], None],
) -> dict[str, object]:
    """The life of the process: readings until an order comes, then the rest.

    Returns what came of it; nothing when the recording is still to be exported.
    """
    interval_s = exporter.follows(options)
    orders.wait(interval_s)
    if orders.come:  # a short program needs nothing of all this
        return {}
    with suppress(OSError):
        os.nice(NICENESS)
    told = Told(say)
    follower = exporter.follow(target, options)
    follower.pause = orders.wait
    pause_s = interval_s
    while not orders.come:
        pause_s = interval_s if read(follower, path, told) else min(2 * pause_s, LONGEST_PAUSE_S)
        if not orders.come:
            orders.wait(pause_s)
    return finish(follower, path) if orders.is_to_finish() and follower.has_sent else {}


def read(follower: Follower, path: str, told: Told) -> bool:
    """One reading; whether all went well."""
    try:
        follower.poll(path)
    except Exception as error:  # whatever it is, it may pass, and the recording is kept
        told.failed(error)
        return False
    finally:
        gc.collect()  # a recording's parts refer to each other: files and memory go now
    return True


def finish(follower: Follower, path: str) -> dict[str, object]:
    """The rest, and what came of it."""
    try:
        return asdict(follower.finish(path))
    except Exception as error:
        return {"error": words_of(error)}
