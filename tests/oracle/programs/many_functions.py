"""More functions than short ids can name, then calls of old and new ones."""

import math


def first(x):
    return x


namespace = {"__name__": "many"}
for start in range(0, 9_000, 500):
    names = range(start, start + 500)
    exec("\n".join(f"def f{i}(x): return x" for i in names), namespace)
    exec("\n".join(f"f{i}({i})" for i in names), namespace)


def last(x):
    return math.factorial(first(x))


print(last(3), namespace["f8999"](1), namespace["f0"](2), math.comb(5, 2), math.isqrt(17))
for _ in range(3):
    last(first(2))
try:
    namespace["f8500"]()
except TypeError:
    print(sorted([3, 1], key=namespace["f8400"]))
