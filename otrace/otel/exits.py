"""Processes that end without exit handlers, and a chance to send before they do.

SIGTERM ends a program at once that does not handle it, such as a development server. uvicorn, when
it has served its last request, raises its signal once more, after its own handler was taken away.
Children of multiprocessing leave by os._exit, after finalizers of their own; Celery's after a
signal of its own. SIGKILL leaves no chance: a reloader of Flask or Django that is ended alone
ends its server with it.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

FIRST = 1000  # of the finalizers, the highest comes first
LOCKED_S = 0.5
logger = logging.getLogger("otrace")


class Ending(Protocol):
    """What has something to do before the process ends."""

    def shutdown(self) -> None:
        """Do it, within bounds. It may be called more than once."""


_all: weakref.WeakKeyDictionary[Ending, float] = weakref.WeakKeyDictionary()


def add(ending: Ending, within_s: float) -> None:
    """Call its `shutdown`, which takes so long at most, where no exit handler would."""
    _all[ending] = within_s
    if not hasattr(signal.raise_signal, "__wrapped__"):
        signal.raise_signal = _before(signal.raise_signal)
    with suppress(ValueError, OSError):  # not in the main thread
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and not _is_caught(signal.SIGTERM):
            signal.signal(signal.SIGTERM, _on_sigterm)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _finalize()
    _hear_celery()


def after_fork() -> None:
    """In a forked child: what is registered now would be cleared, should multiprocessing own it."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(after_fork, lambda _: _finalize())
    _hear_celery()


def _is_caught(signum: int) -> bool:
    """Whether anyone handles it: Python does not know of handlers in C, as uWSGI has."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        line = next((line for line in file if line.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(line.split()[1], 16) >> (signum - 1) & 1)


def _finalize() -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, _end_all, exitpriority=FIRST)


def _hear_celery() -> None:
    signals = sys.modules.get("celery.signals")
    with suppress(AttributeError):
        if signals is not None:
            signals.worker_process_shutdown.connect(_end_all, weak=False, dispatch_uid=__name__)


def _end_all(**_: object) -> None:
    for ending in list(_all):
        try:
            ending.shutdown()
        except Exception as error:
            logger.warning("otrace did not end in order: %s", error)


def _on_sigterm(signum: int, frame: object) -> None:
    """On a thread, since the interrupted code may hold a lock; then as without a handler."""
    if signal.getsignal(signum) is not _on_sigterm:
        return  # called by the program's own handler, which would have found none
    try:
        with suppress(RuntimeError):
            thread = threading.Thread(target=_end_all, name="otrace-end", daemon=True)
            thread.start()
            thread.join(sum(_all.values()) + LOCKED_S)
    finally:  # whatever another signal's handler raised meanwhile
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)


def _before(raise_signal: Callable[[int], None]) -> Callable[[int], None]:
    @functools.wraps(raise_signal)
    def raise_after(signalnum: int, /) -> None:
        if signalnum == signal.SIGTERM and signal.getsignal(signalnum) == signal.SIG_DFL:
            _end_all()
        raise_signal(signalnum)

    return raise_after
