"""Objects made and their methods and properties called."""

from timing import measure


class Vector:
    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x, self.y + other.y)

    @property
    def length(self) -> int:
        return self.x * self.x + self.y * self.y

    def scaled(self, factor: int) -> "Vector":
        return Vector(self.x * factor, self.y * factor)


def work() -> int:
    at, step = Vector(0, 0), Vector(1, 2)
    total = 0
    # Some are kept for a while: else every one takes the same place in the allocator's pool, and
    # whether that is the pool's last one changes all times by 15 %, as the heap happens to be.
    kept = [at] * 1000
    for i in range(100_000):
        at = at + step
        kept[i % 1000] = at
        if i % 1000 == 999:
            kept = [at] * 1000
        total += at.length
        total += step.scaled(2).x
    return total


measure(work)
