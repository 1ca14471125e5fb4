"""Recursion: nothing but Python calls."""

from timing import measure


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


measure(lambda: fib(27))
