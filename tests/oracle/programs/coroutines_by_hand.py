"""Coroutines and awaitables driven without an event loop."""

import types


class Awaitable:
    def __await__(self):
        value = yield "asked"
        return value


@types.coroutine
def old_style():
    value = yield "old"
    return value * 2


async def leaf():
    return await Awaitable()


async def branch():
    return await leaf() + await old_style()


def drive(coroutine, values):
    asked = [coroutine.send(None)]
    try:
        for value in values:
            asked.append(coroutine.send(value))
    except StopIteration as stop:
        return asked, stop.value


print(drive(branch(), [1, 2]))
never = leaf()
never.close()
started = branch()
started.send(None)
started.close()
