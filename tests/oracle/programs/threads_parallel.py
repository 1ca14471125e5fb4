"""Four threads at the same time, held together by a barrier, each with its own work."""

import threading

barrier = threading.Barrier(4)
results = {}


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work(n):
    barrier.wait()
    results[n] = sum(fib(i) for i in range(n))
    barrier.wait()


threads = [threading.Thread(target=work, args=(n,), name=f"work-{n}") for n in (7, 8, 9, 10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results.items()))
