"""Programs with greenlets: `greenlets.py NAME FILE` notes each call by the frames around it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import greenlet

PROGRAMS: dict[str, Callable[[], object]] = {}
KEPT: list[Any] = []  # so that no two greenlets have the same id
NOTES: dict[int, list[list[str]]] = {}


def program(function: Callable[[], object]) -> Callable[[], object]:
    PROGRAMS[function.__name__] = function
    return function


def note() -> None:
    """The caller's call: the functions of this file that are around it, in its greenlet alone."""
    frame, names = sys._getframe(1), []
    while frame is not None:
        if frame.f_code.co_filename == __file__:
            names.append(frame.f_code.co_qualname)
        frame = frame.f_back  # type: ignore[assignment]
    current = greenlet.getcurrent()
    KEPT.append(current)
    NOTES.setdefault(id(current), []).append(names[::-1])


def leaf() -> None:
    note()


def deep(levels: int, switch: Callable[[], object]) -> None:
    note()
    if levels > 0:
        deep(levels - 1, switch)
    switch()
    leaf()


@program
def take_turns() -> None:
    """Switches at every depth: each one's calls end while others' are open."""
    note()
    main = greenlet.getcurrent()
    made = [greenlet.greenlet(lambda: deep(4, main.switch)) for _ in range(5)]
    while any(made):
        made = [one for one in made if one.switch() is None and not one.dead]


@program
def nested() -> None:
    note()

    def inner() -> None:
        note()
        leaf()

    def outer() -> None:
        note()
        greenlet.greenlet(inner).switch()
        leaf()

    for _ in range(3):
        greenlet.greenlet(outer).switch()


@program
def one_after_the_other() -> None:
    """Objects that find the addresses of dead ones."""
    note()

    def short() -> None:
        note()
        KEPT.pop()
        NOTES[-len(NOTES) - 1] = NOTES.pop(id(greenlet.getcurrent()))

    for _ in range(200):
        greenlet.greenlet(short).switch()


@program
def thrown_and_dropped() -> None:
    note()
    main = greenlet.getcurrent()

    def waiting() -> None:
        note()
        try:
            main.switch()
        finally:
            leaf()

    def failing() -> None:
        note()
        raise KeyError

    thrown = greenlet.greenlet(waiting)
    thrown.switch()
    with suppress(ValueError):
        thrown.throw(ValueError)
    with suppress(KeyError):
        greenlet.greenlet(failing).switch()
    closed = greenlet.greenlet(waiting)
    closed.switch()
    closed.throw()
    greenlet.greenlet(leaf).throw(greenlet.GreenletExit)  # never starts
    leaf()


@program
def in_threads() -> None:
    def thread() -> None:
        note()
        take_turns()

    threads = [threading.Thread(target=thread) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


@program
def own_trace_function() -> None:
    """The program's is called as well, and calls the one before it."""
    seen: list[str] = []

    def trace(event: str, pair: object) -> None:
        seen.append(event)
        if before is not None:
            before(event, pair)

    before = greenlet.gettrace()
    greenlet.settrace(trace)
    note()
    greenlet.greenlet(leaf).switch()
    assert len(seen) == 2, seen
    greenlet.settrace(before)
    greenlet.greenlet(leaf).switch()
    assert len(seen) == 2, seen


@program
def generators() -> None:
    def numbers() -> Any:
        note()
        for number in range(3):
            main.switch()
            yield number

    def user() -> None:
        note()
        for _ in numbers():
            leaf()

    note()
    main = greenlet.getcurrent()
    made = [greenlet.greenlet(user) for _ in range(3)]
    while made:
        made = [one for one in made if one.switch() is None and not one.dead]


@program
def fork_inside() -> None:
    def child() -> None:
        pid = os.fork()
        if pid == 0:
            greenlet.greenlet(leaf).switch()
            main.switch("child")
        os.waitpid(pid, 0)

    note()
    main = greenlet.getcurrent()
    if greenlet.greenlet(child).switch() == "child":
        leaf()
        os._exit(0)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(list(NOTES.values()), file)
