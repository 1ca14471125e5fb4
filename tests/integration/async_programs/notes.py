"""What a program under test notes about its own tasks and coroutines, with its own clock."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from time import monotonic_ns
from typing import Any

CALLS: list[dict[str, Any]] = []
TASKS: list[tuple[asyncio.Task[Any], dict[str, Any]]] = []
OPEN: dict[Any, list[dict[str, Any]]] = {}


def current() -> asyncio.Task[Any] | None:
    """The task that runs, if one does."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def current_name() -> str | None:
    task = current()
    return None if task is None else task.get_name()


@contextmanager
def call(function: str, *, counted: bool = True) -> Iterator[None]:
    """Around the whole body of a coroutine function: its start, its end, its turns away."""
    noted: dict[str, Any] = {
        "function": function,
        "task": current(),
        "start": monotonic_ns(),
        "end": None,
        "outcome": None,
        "awaits": 0 if counted else None,
        "thread": threading.get_native_id(),
    }
    open_calls = OPEN.setdefault(current(), [])
    noted["number"], noted["parent"] = len(CALLS), open_calls[-1]["number"] if open_calls else None
    CALLS.append(noted)
    open_calls.append(noted)
    try:
        yield
        noted["outcome"] = "returned"
    except BaseException as error:
        noted["outcome"] = type(error).__name__
        raise
    finally:
        noted["end"] = monotonic_ns()
        open_calls.remove(noted)


def away(times: int = 1) -> None:
    """The task gives its thread back now, this many times."""
    for noted in OPEN.get(current(), []):
        if noted["awaits"] is not None:
            noted["awaits"] += times


async def pause(times: int = 1) -> None:
    """Lets the others run."""
    for _ in range(times):
        away()
        await asyncio.sleep(0)


def own(task: asyncio.Task[Any], parent: str | None) -> asyncio.Task[Any]:
    """Note a task, and who made it; its end is looked at when the program's is."""
    TASKS.append((task, {"name": task.get_name(), "parent": parent}))
    return task


def spawn(coroutine: Coroutine[Any, Any, Any], name: str, group: Any = None) -> asyncio.Task[Any]:
    """A new task, in a group or not."""
    make = asyncio.create_task if group is None else group.create_task
    return own(make(coroutine, name=name), current_name())


def state(task: asyncio.Task[Any]) -> str:
    if not task.done():
        return "pending"
    if task.cancelled():
        return "cancelled"
    return "finished" if task.exception() is None else "failed"


def write() -> None:
    """All notes, to the file that the command line names last."""
    tasks = [{**noted, "name": task.get_name(), "state": state(task)} for task, noted in TASKS]
    calls = [{**noted, "task": noted["task"] and noted["task"].get_name()} for noted in CALLS]
    with open(sys.argv[-1], "w", encoding="utf-8") as file:
        json.dump({"tasks": tasks, "calls": calls}, file)
