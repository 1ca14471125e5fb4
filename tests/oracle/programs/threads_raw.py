"""Threads of `_thread`, which no Thread object knows, one after the other: ids are used again."""

# oracle: since=3.12

import _thread

done = _thread.allocate_lock()


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work(n):
    try:
        fib(n)
        if n == 4:
            raise SystemExit
    finally:
        done.release()


for n in range(2, 7):
    done.acquire()
    _thread.start_new_thread(work, (n,))
    with done:
        pass
