"""asyncio.run with a gather of three tasks that hand over to one another."""

import asyncio
import gc

gc.disable()  # its moment differs between two tracers


async def step(name, log, n):
    for i in range(n):
        log.append((name, i))
        await asyncio.sleep(0)
    return len(name)


async def failing():
    await asyncio.sleep(0)
    raise ValueError("in a task")


async def main():
    log = []
    sizes = await asyncio.gather(step("a", log, 2), step("bb", log, 3), step("ccc", log, 1))
    results = await asyncio.gather(failing(), step("d", log, 1), return_exceptions=True)
    return log, sizes, [repr(result) for result in results]


print(asyncio.run(main()))
