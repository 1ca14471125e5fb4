"""30,000 frames deep, and busy at the bottom and on the way: records fill many chunks."""

import sys

sys.setrecursionlimit(60_000)


def leaf(x):
    return x + 1


def busy(n):
    total = 0
    for i in range(n):
        total = leaf(total)
    return total


def down(n):
    if n % 5_000 == 0:
        busy(500)
    return busy(4_000) if n == 0 else down(n - 1)


print(down(30_000), busy(2))
