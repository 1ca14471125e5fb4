"""Small asynchronous programs: `programs.py NAME FILE` runs one and writes its notes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

from notes import CALLS, away, call, current_name, own, pause, spawn, write

PROGRAMS: dict[str, Callable[[], object]] = {}


def program(function: Callable[[], object]) -> Callable[[], object]:
    PROGRAMS[function.__name__] = function
    return function


def run(main: Callable[[], Any], name: str = "main") -> Any:
    """asyncio.run, with the main task named and noted."""

    async def entry() -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.set_name(name)
        own(task, None)
        return await main()

    return asyncio.run(entry())


async def leaf(times: int = 1) -> int:
    with call("leaf"):
        await pause(times)
        return times


async def middle(times: int) -> int:
    with call("middle"):
        return await leaf(times) + await leaf(1)


async def top(times: int) -> int:
    with call("top"):
        return await middle(times)


async def failing() -> None:
    with call("failing"):
        await pause()
        raise ValueError("no")


async def waiting() -> None:
    with call("waiting"):
        away()
        await asyncio.get_running_loop().create_future()


async def deep(levels: int) -> int:
    with call("deep"):
        if levels == 0:
            await pause(2)
            return 0
        return 1 + await deep(levels - 1)


@program
def one_call() -> None:
    run(lambda: leaf(3))


@program
def chain() -> None:
    run(lambda: top(3))


@program
def recursion() -> None:
    run(lambda: deep(20))


@program
def never_suspended() -> None:
    async def quick() -> int:
        with call("quick"):
            return 1

    async def main() -> None:
        for _ in range(3):
            await quick()

    run(main)


@program
def two_tasks_take_turns() -> None:
    async def main() -> None:
        first, second = spawn(top(5), "first"), spawn(top(4), "second")
        await first
        await second

    run(main)


@program
def many_tasks() -> None:
    async def main() -> None:
        await asyncio.gather(*(spawn(top(number % 5), f"t{number}") for number in range(200)))

    run(main)


@program
def one_after_the_other() -> None:
    """Task objects that find the addresses of dead ones."""

    async def main() -> None:
        for number in range(100):
            await spawn(leaf(number % 3), f"t{number}")

    run(main)


@program
def task_group() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                spawn(top(number), f"g{number}", group)

    run(main)


@program
def task_group_fails() -> None:
    async def main() -> None:
        with suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as group:
                spawn(failing(), "bad", group)
                spawn(waiting(), "victim", group)

    run(main)


@program
def nested_groups() -> None:
    async def inner(number: int) -> None:
        with call("inner", counted=False):
            async with asyncio.TaskGroup() as group:
                for child in range(3):
                    spawn(leaf(child), f"{number}.{child}", group)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                spawn(inner(number), f"{number}", group)

    run(main)


@program
def exception_groups() -> None:
    async def main() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    spawn(failing(), f"f{number}", group)
        except* ValueError:
            pass

    run(main)


@program
def gather_with_failures() -> None:
    async def main() -> None:
        made = [spawn(failing(), "bad"), spawn(leaf(4), "good"), spawn(failing(), "worse")]
        await asyncio.gather(*made, return_exceptions=True)

    run(main)


@program
def cancelled_while_waiting() -> None:
    async def outer() -> None:
        with call("outer"):
            await waiting()

    async def main() -> None:
        task = spawn(outer(), "victim")
        await pause(3)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    run(main)


@program
def cancelled_before_its_start() -> None:
    async def main() -> None:
        task = spawn(leaf(), "never")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    run(main)


@program
def cancellation_refused() -> None:
    async def stubborn() -> str:
        with call("stubborn"):
            try:
                await waiting()
            except asyncio.CancelledError:
                await pause(2)
            return "done"

    async def main() -> None:
        task = spawn(stubborn(), "stubborn")
        await pause()
        task.cancel()
        await task

    run(main)


@program
def timeout() -> None:
    async def main() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await waiting()
        with suppress(TimeoutError):
            await asyncio.wait_for(leaf(3), 10)

    run(main)


@program
def shielded() -> None:
    async def main() -> None:
        inner = spawn(leaf(6), "inner")

        async def outer() -> None:
            with call("outer"):
                away()
                await asyncio.shield(inner)

        task = spawn(outer(), "outer")
        await pause(2)
        task.cancel()
        await asyncio.wait([task, inner])

    run(main)


@program
def renamed() -> None:
    async def main() -> None:
        task = spawn(top(3), "before")
        await pause()
        task.set_name("after")
        await task

    run(main)


async def ticks(count: int) -> AsyncIterator[int]:
    with call("ticks", counted=False):
        for number in range(count):
            await leaf(1)
            yield number


@program
def async_for() -> None:
    async def main() -> None:
        with call("main", counted=False):
            assert [number async for number in ticks(4)] == [0, 1, 2, 3]

    run(main)


@program
def two_generators_of_one_function() -> None:
    async def main() -> None:
        first, second = ticks(3), ticks(3)
        for _ in range(3):
            assert await anext(first) == await anext(second)
        for generator in (first, second):
            with suppress(StopAsyncIteration):
                await anext(generator)

    run(main)


@program
def a_generator_passed_on_between_tasks() -> None:
    async def take(generator: AsyncIterator[int]) -> int:
        with call("take", counted=False):
            return await anext(generator)

    async def main() -> None:
        generator = ticks(3)
        for number in range(3):
            assert await spawn(take(generator), f"taker{number}") == number
        with suppress(StopAsyncIteration):
            await anext(generator)

    run(main)


@program
def generators_closed_early() -> None:
    async def main() -> None:
        generator = ticks(10)
        async for number in generator:
            if number == 1:
                break
        await generator.aclose()  # type: ignore[attr-defined]
        with suppress(ZeroDivisionError):
            other = ticks(10)
            await anext(other)
            await other.athrow(ZeroDivisionError)  # type: ignore[attr-defined]

    run(main)


@program
def async_with() -> None:
    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        with call("resource", counted=False):
            await leaf(1)
            yield
            await leaf(2)

    async def user() -> None:
        with call("user"):
            async with resource():
                await leaf(3)

    async def main() -> None:
        await asyncio.gather(spawn(user(), "a"), spawn(user(), "b"))

    run(main)


@program
def awaited_objects() -> None:
    """__await__ as a generator, and generators made into coroutines by a decorator."""

    class Twice:
        def __await__(self) -> Generator[Any, None, int]:
            yield from leaf(1).__await__()
            return (yield from leaf(2).__await__())

    @types.coroutine
    def bare() -> Generator[None, None, None]:
        yield
        yield

    async def main() -> None:
        async def user() -> None:
            with call("user"):
                assert await Twice() == 2
                away(2)
                await bare()

        await asyncio.gather(spawn(user(), "a"), spawn(user(), "b"))

    run(main)


@program
def by_hand() -> None:
    """Coroutines without a loop, in turns."""

    @types.coroutine
    def trap() -> Generator[None, None, None]:
        yield

    async def worker(times: int) -> None:
        with call("worker"):
            for _ in range(times):
                for noted in mine:
                    noted["awaits"] += 1
                await trap()

    made = [worker(times) for times in (3, 1, 2)]
    noted_by: dict[int, dict[str, Any]] = {}
    while made:
        for coroutine in list(made):
            known = noted_by.get(id(coroutine))
            mine = [known] if known else []
            before = len(CALLS)
            if known is None:
                mine = Later(CALLS, before)  # type: ignore[assignment]
            with suppress(StopIteration):
                coroutine.send(None)
                noted_by[id(coroutine)] = known or CALLS[before]
                continue
            made.remove(coroutine)


class Later:
    """The note that a first step is about to make."""

    def __init__(self, calls: list[dict[str, Any]], at: int) -> None:
        self.calls, self.at = calls, at

    def __iter__(self) -> Any:
        return iter(self.calls[self.at : self.at + 1])


@program
def thrown_in_by_hand() -> None:
    @types.coroutine
    def trap() -> Generator[None, None, None]:
        yield

    async def worker() -> None:
        with call("worker", counted=False):
            try:
                await trap()
            except KeyError:
                await trap()

    async def outer() -> None:
        with call("outer", counted=False):
            await worker()

    caught = outer()
    caught.send(None)
    caught.throw(KeyError)
    with suppress(StopIteration):
        caught.send(None)
    closed = outer()
    closed.send(None)
    closed.close()
    dropped = outer()
    dropped.send(None)
    del dropped
    gc.collect()


@program
def destroyed_while_pending() -> None:
    async def main() -> None:
        task = spawn(waiting(), "lost")
        await pause()
        assert not task.done()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(own(loop.create_task(main(), name="main"), None))
    loop.close()


@program
def to_thread() -> None:
    def work() -> int:
        return sum(range(1000))

    async def user() -> None:
        with call("user", counted=False):
            await asyncio.to_thread(work)
            await leaf(1)

    async def main() -> None:
        await asyncio.gather(*(spawn(user(), f"u{number}") for number in range(4)))

    run(main)


@program
def two_loops_in_two_threads() -> None:
    def thread(name: str) -> None:
        async def main() -> None:
            await asyncio.gather(*(spawn(top(9), f"{name}{number}") for number in range(5)))

        run(main, f"main-{name}")

    threads = [threading.Thread(target=thread, args=(name,)) for name in "ab"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


@program
def run_many_times() -> None:
    for number in range(20):
        run(lambda: leaf(2), f"main{number}")


@program
def a_loop_inside_the_loop() -> None:
    """As in a notebook: a step of one task runs another loop to its end."""

    async def main() -> None:
        with call("main", counted=False):
            outer = asyncio.get_running_loop()
            before = asyncio.current_task()
            assert before is not None
            asyncio.tasks._leave_task(outer, before)
            asyncio._set_running_loop(None)
            loop = asyncio.new_event_loop()
            inner = loop.create_task(leaf(2), name="inside")
            loop.run_until_complete(own(inner, None))
            loop.close()
            asyncio._set_running_loop(outer)
            asyncio.tasks._enter_task(outer, before)
            await leaf(1)

    run(main)


@program
def eager_tasks() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        with call("main", counted=False):
            done = spawn_eager(leaf(0), "at once")
            later = spawn_eager(top(3), "later")
            assert done.done()
            await later

    run(main)


def spawn_eager(coroutine: Any, name: str) -> asyncio.Task[Any]:
    return own(asyncio.create_task(coroutine, name=name), current_name())


@program
def shared_contexts() -> None:
    """Context variables and contexts that tasks share do not change whose call is whose."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def setter(value: str) -> None:
        with call("setter"):
            variable.set(value)
            await leaf(3)

    async def main() -> None:
        shared = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        made = [
            own(loop.create_task(setter(f"s{number}"), name=f"s{number}", context=shared), "main")
            for number in range(3)
        ]
        await asyncio.gather(*made)

    run(main)


@program
def a_callback_makes_tasks() -> None:
    """Not every creator is a task."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[asyncio.Task[Any]] = loop.create_future()
        loop.call_soon(
            lambda: made.set_result(own(loop.create_task(leaf(2), name="of a callback"), None))
        )
        await (await made)

    run(main)


@program
def queues_and_locks() -> None:
    async def main() -> None:
        queue: asyncio.Queue[int | None] = asyncio.Queue(2)
        lock = asyncio.Lock()

        async def consumer() -> None:
            with call("consumer", counted=False):
                while await queue.get() is not None:
                    async with lock:
                        await leaf(1)

        async def producer() -> None:
            with call("producer", counted=False):
                for number in range(10):
                    await queue.put(number)
                await queue.put(None)
                await queue.put(None)

        made = [spawn(consumer(), "c0"), spawn(consumer(), "c1"), spawn(producer(), "p")]
        await asyncio.gather(*made)

    run(main)


@program
def coroutines_run_from_threads() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as pool:
            ask: Callable[[], Awaitable[int]] = lambda: top(2)  # noqa: E731

            def work() -> int:
                future = asyncio.run_coroutine_threadsafe(ask(), loop)  # type: ignore[arg-type]
                return future.result()

            assert await asyncio.gather(*(loop.run_in_executor(pool, work) for _ in range(3)))

    run(main)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
    write()
