"""Tasks that let others go on: `wakes.py FILE` notes (woken task, task that woke it, function)."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

NOTES: list[tuple[str, str | None, str]] = []


def name() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


async def by_future(future: asyncio.Future[None]) -> None:
    await asyncio.sleep(0)
    NOTES.append(("future", name(), "set_it"))
    set_it(future)


def set_it(future: asyncio.Future[None]) -> None:
    future.set_result(None)


async def by_event(event: asyncio.Event) -> None:
    await asyncio.sleep(0)
    NOTES.append(("event", name(), "by_event"))
    event.set()
    await asyncio.sleep(0)


async def by_queue(queue: asyncio.Queue[int]) -> None:
    for number in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        NOTES.append(("queue", name(), "by_queue"))
        queue.put_nowait(number)


async def waits_for(future: Any) -> None:
    await future


async def gets(queue: asyncio.Queue[int]) -> None:
    for _ in range(3):
        await queue.get()


async def sleeps() -> None:
    NOTES.append(("sleep", None, "_set_result_unless_cancelled"))
    await asyncio.sleep(0.01)


async def canceller(victim: asyncio.Task[None]) -> None:
    await asyncio.sleep(0)
    NOTES.append(("victim", name(), "canceller"))
    victim.cancel()


async def main() -> None:
    loop = asyncio.get_running_loop()
    future, event, queue = loop.create_future(), asyncio.Event(), asyncio.Queue[int]()
    late = loop.create_future()
    make = asyncio.create_task
    tasks = [
        make(waits_for(future), name="future"),
        make(waits_for(event.wait()), name="event"),
        make(gets(queue), name="queue"),
        make(sleeps(), name="sleep"),
        make(waits_for(late), name="callback"),
        make(waits_for(loop.create_future()), name="victim"),
    ]
    NOTES.append(("callback", None, "from_a_callback"))

    def from_a_callback() -> None:
        late.set_result(None)

    loop.call_later(0.005, from_a_callback)
    tasks += [
        make(by_future(future), name="sets future"),
        make(by_event(event), name="sets event"),
        make(by_queue(queue), name="puts"),
        make(canceller(tasks[5]), name="cancels"),
    ]
    await asyncio.wait(tasks)


if __name__ == "__main__":
    asyncio.run(main())
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(NOTES, file)
