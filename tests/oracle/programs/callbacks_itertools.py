"""itertools, heapq, bisect and collections with Python callbacks."""

import bisect
import collections
import heapq
import itertools


def parity(x):
    return x % 2


def add(a, b):
    return a + b


class Missing(dict):
    def __missing__(self, key):
        return key * 2


class Item:
    def __init__(self, rank):
        self.rank = rank

    def __lt__(self, other):
        return self.rank < other.rank


print(list(itertools.accumulate([1, 2, 3], add)), list(itertools.takewhile(parity, [1, 3, 4, 5])))
print([(key, list(group)) for key, group in itertools.groupby([1, 3, 2, 4], parity)])
print(list(itertools.starmap(add, [(1, 2), (3, 4)])), list(itertools.filterfalse(parity, range(5))))
heap = [Item(rank) for rank in (3, 1, 2)]
heapq.heapify(heap)
print([heapq.heappop(heap).rank for _ in range(3)], bisect.bisect([1, 3, 5], -4, key=lambda x: -x))
counter = collections.defaultdict(lambda: add(1, 1))
print(counter["a"], Missing()["k"], list(iter(iter([1, 2, 0, 3]).__next__, 0)))
