"""A ThreadPoolExecutor whose four workers each get one task; a fifth task fails."""

import threading
from concurrent.futures import ThreadPoolExecutor

barrier = threading.Barrier(4)


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def task(n):
    barrier.wait()
    return fib(n)


with ThreadPoolExecutor(max_workers=4, thread_name_prefix="pool") as pool:
    futures = [pool.submit(task, 8) for _ in range(4)]
    print([future.result() for future in futures])
