"""Work handed to pools of threads: `executors.py FILE` notes when each was submitted and began."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic_ns
from typing import Any

NOTES: dict[str, dict[str, int]] = {}


def job(name: str, body: Callable[[], object] = lambda: None) -> tuple[Any, Any]:
    """A function that submits, and the one that it submits, with names of their own."""
    note = NOTES[name] = {}

    def work() -> None:
        note["began"] = monotonic_ns()
        note["thread"] = threading.get_native_id()
        body()

    def submit(by: Callable[[Callable[[], None]], Any]) -> Any:
        note["submitter"] = threading.get_native_id()
        note["before"] = monotonic_ns()
        made = by(work)
        note["after"] = monotonic_ns()
        return made

    work.__code__ = work.__code__.replace(co_name="work_" + name, co_qualname="work_" + name)
    submit.__code__ = submit.__code__.replace(
        co_name="submit_" + name, co_qualname="submit_" + name
    )
    return submit, work


def by_submit() -> None:
    """One thread: everything waits for the first, which waits for us."""
    gate, opened = threading.Event(), 0
    with ThreadPoolExecutor(1) as pool:
        futures: list[Future[None]] = [job("gate", gate.wait)[0](pool.submit)]
        futures += [job(f"queued{number}")[0](pool.submit) for number in range(3)]
        job("cancelled")[0](pool.submit).cancel()
        opened = monotonic_ns()
        gate.set()
        for future in futures:
            future.result()
    for number in range(3):
        NOTES[f"queued{number}"]["opened"] = opened


async def by_loop() -> None:
    loop = asyncio.get_running_loop()
    await job("to_thread")[0](asyncio.to_thread)
    await job("in_executor")[0](lambda work: loop.run_in_executor(None, work))
    await asyncio.gather(*(job(f"many{number}")[0](asyncio.to_thread) for number in range(20)))


def nested() -> None:
    """Work that hands over work."""
    with ThreadPoolExecutor(2) as pool:
        inner, _ = job("inner")
        job("outer", lambda: inner(pool.submit).result())[0](pool.submit).result()


if __name__ == "__main__":
    by_submit()
    asyncio.run(by_loop())
    nested()
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(NOTES, file)
