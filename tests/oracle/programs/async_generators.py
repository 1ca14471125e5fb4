"""Async generators, async with, async for and comprehensions, driven by hand and by asyncio."""

import asyncio
import contextlib
import gc

gc.disable()  # its moment differs between two tracers


class Resource:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exception):
        await asyncio.sleep(0)
        return True


async def ticks(n):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def section():
    yield "inside"


async def main():
    async with Resource(), section() as word:
        seen = [tick async for tick in ticks(3)]
        print(word, seen)
        raise LookupError
    closing = ticks(5)
    async for tick in closing:
        if tick == 1:
            break
    await closing.aclose()


asyncio.run(main())
coroutine = Resource().__aenter__()
coroutine.send(None)
try:
    coroutine.throw(KeyError("thrown"))
except KeyError as error:
    print(error)
