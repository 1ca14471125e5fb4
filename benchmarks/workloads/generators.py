"""Generators that feed generators."""

from collections.abc import Iterator

from timing import measure


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


def squares(source: Iterator[int]) -> Iterator[int]:
    for value in source:
        yield value * value


def work() -> int:
    return sum(value for value in squares(numbers(250_000)) if value & 1)


measure(work)
