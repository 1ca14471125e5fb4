"""functools: partial, reduce, cmp_to_key, lru_cache, singledispatch, cached_property."""

import functools


def add(a, b):
    return a + b


def compare(a, b):
    return (a > b) - (a < b)


@functools.lru_cache(maxsize=None)
def cached_fib(n):
    return n if n < 2 else cached_fib(n - 1) + cached_fib(n - 2)


@functools.singledispatch
def describe(value):
    return "anything"


@describe.register
def _(value: int):
    return "int"


class Lazy:
    @functools.cached_property
    def value(self):
        return add(1, 2)


add_ten = functools.partial(add, 10)
lazy = Lazy()
print(add_ten(5), functools.reduce(add, [1, 2, 3, 4]), cached_fib(12), cached_fib(12))
print(sorted([3, 1, 2], key=functools.cmp_to_key(compare)), list(map(add_ten, [1, 2])))
print(describe(1), describe("x"), lazy.value, lazy.value, cached_fib.cache_info().hits)
