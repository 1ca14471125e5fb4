"""Generic functions and classes, and type aliases: hidden calls of their parameters' scopes."""

# oracle: since=3.12

import typing


def first[T](items: list[T]) -> T:
    return items[0]


class Box[T: (int, str)]:
    def __init__(self, item: T) -> None:
        self.item = item

    def map[U](self, function: typing.Callable[[T], U]) -> "Box[U]":
        return Box(function(self.item))


type Pair[A] = tuple[A, A]

print(first([1, 2]), Box(3).map(str).item, Pair.__value__, Box[int], first.__type_params__)
print(Box.__init__.__annotations__, typing.get_type_hints(first))
