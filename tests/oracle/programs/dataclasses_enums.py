"""dataclasses, enum and namedtuple: methods made by exec, and hooks of the standard library."""

import collections
import dataclasses
import enum


@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0
    tags: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.tags.append("made")


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str


class Color(enum.Enum):
    RED = 1
    BLUE = 2

    @property
    def pretty(self):
        return self.name.title()


class Flags(enum.Flag):
    A = enum.auto()
    B = enum.auto()


Pair = collections.namedtuple("Pair", "left right")
a, b = Point(1), Point(1, 2)
print(a < b, a == Point(1), a, dataclasses.asdict(b), hash(Frozen("x")) == hash(Frozen("x")))
try:
    Frozen("y").name = "z"
except dataclasses.FrozenInstanceError as error:
    print(error)
print(Color(2), Color["RED"].pretty, [color.value for color in Color], Flags.A | Flags.B)
print(Pair(1, 2)._replace(right=3), Color.RED is Color(1))
