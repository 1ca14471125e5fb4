"""A generator and a coroutine that are resumed by one thread after the other."""

import threading


def counting():
    for i in range(10):
        yield step(i)


def step(i):
    return i * 2


async def waiting():
    for _ in range(4):
        await Ready()
    return "end"


class Ready:
    def __await__(self):
        yield


def advance(log):
    log.append(next(generator))
    try:
        coroutine.send(None)
    except StopIteration as stop:
        log.append(stop.value)


generator, coroutine, log = counting(), waiting(), []
for number in range(5):
    thread = threading.Thread(target=advance, args=(log,), name=f"resumes {number}")
    thread.start()
    thread.join()
    log.append(next(generator))
print(log)
