"""A loop that is blocked at times that it notes: `blocked.py FILE [uvloop]`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from time import monotonic_ns
from typing import Any

BLOCK_S = 0.12
NOTES: list[dict[str, Any]] = []


def block(seconds: float = BLOCK_S) -> tuple[int, int]:
    start = monotonic_ns()
    time.sleep(seconds)
    return start, monotonic_ns()


def note(kind: str, times: tuple[int, int]) -> None:
    task = None if kind == "callback" else asyncio.current_task()
    name = task and task.get_name()
    NOTES.append({"kind": kind, "start": times[0], "end": times[1], "task": name})


async def quick() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def rude() -> None:
    await asyncio.sleep(0)
    note("step", block())
    await asyncio.sleep(0)


async def main() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        *(asyncio.create_task(quick(), name=f"quick{number}") for number in range(5)),
        asyncio.create_task(rude(), name="rude"),
    )
    idle = monotonic_ns()
    await asyncio.sleep(2 * BLOCK_S)
    note("idle", (idle, monotonic_ns()))
    done = loop.create_future()
    loop.call_soon(lambda: note("callback", block()))
    loop.call_soon(done.set_result, None)
    await done
    many = []
    for _ in range(4):  # each is quick enough, all of them in one iteration are not
        loop.call_soon(lambda: many.append(block(BLOCK_S / 4)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    note("iteration", (many[0][0], many[-1][1]))


if __name__ == "__main__":
    if sys.argv[2:] == ["uvloop"]:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(NOTES, file)
