"""Calls of C functions: len, isinstance, list.append, dict.get."""

from timing import measure


def work() -> int:
    numbers: list[int] = []
    table = {1: 2, 2: 3}
    append, total = numbers.append, 0
    for i in range(120_000):
        total += len(table)
        if isinstance(i, int):
            append(i)
        numbers.append(i)
        total += table.get(i, 1)
    return total + len(numbers)


measure(work)
