"""5,000 frames of Python, with a C call at the bottom."""

import sys

sys.setrecursionlimit(20_000)


def down(n):
    return len("bottom") if n == 0 else 1 + down(n - 1)


print(down(5_000))
