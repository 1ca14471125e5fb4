"""Exception groups, except*, notes, a TaskGroup that cancels, StopIteration in a generator."""

import asyncio
import gc

gc.disable()  # its moment differs between two tracers


def grouped():
    raise ExceptionGroup("both", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])


def split():
    try:
        grouped()
    except* ValueError as group:
        seen = [repr(error) for error in group.exceptions]
    except* KeyError as group:
        seen.append(type(group).__name__)
    return seen


async def forever(log):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    finally:
        log.append("finally")


async def failing():
    await asyncio.sleep(0)
    raise LookupError("stop the group")


async def main():
    log = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever(log))
            group.create_task(failing())
            group.create_task(forever(log))
    except* LookupError as errors:
        log.append(len(errors.exceptions))
    task = asyncio.ensure_future(forever(log))
    await asyncio.sleep(0)
    task.cancel("because")
    results = await asyncio.gather(task, return_exceptions=True)
    return log, [type(result).__name__ for result in results]


def stopping():
    yield 1
    raise StopIteration("not allowed")


print(split(), asyncio.run(main()))
try:
    list(stopping())
except RuntimeError as error:
    error.add_note("noted")
    print(error, error.__notes__)
