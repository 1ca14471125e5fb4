"""What the sender of a program that runs keeps for long."""

from __future__ import annotations

import random
import sys

from otrace_exporters.otlp.live_parts import Marks


def test_marks_are_a_set() -> None:
    chance = random.Random(7)
    numbers = {chance.randrange(5000) for _ in range(2000)} | {(1 << 32) - 1}
    marks = Marks()
    for number in numbers:
        marks.add(number)
        marks.add(number)
    assert {number for number in [*range(6000), (1 << 32) - 1] if number in marks} == numbers


def test_a_million_threads_take_little_memory() -> None:
    marks = Marks()
    for number in range(1, 1_000_000):
        marks.add(number)
    marks.add((1 << 32) - 1)
    assert sys.getsizeof(marks._bits) < 200_000
