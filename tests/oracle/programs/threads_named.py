"""Threads: given names, the same name twice, a late rename, a subclass, an exception inside."""

import threading


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def renaming():
    threading.current_thread().name = "renamed late"
    return fib(3)


def failing():
    raise ValueError("in a thread")


class Worker(threading.Thread):
    def run(self):
        fib(4)


threading.excepthook = lambda args: None
for thread in (
    threading.Thread(target=fib, args=(5,), name="worker"),
    threading.Thread(target=fib, args=(6,), name="same name"),
    threading.Thread(target=sorted, args=([2, 1],), name="same name"),
    threading.Thread(target=renaming, name="early"),
    threading.Thread(target=failing, name="failing"),
    Worker(name='quoted "name"'),
):
    thread.start()
    thread.join()
