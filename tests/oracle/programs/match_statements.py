"""match statements over classes, mappings, sequences and guards that call."""


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return self.x == other


class Meta(type):
    def __instancecheck__(cls, instance):
        return hasattr(instance, "x")


class HasX(metaclass=Meta):
    pass


def positive(n):
    return n > 0


def describe(value):
    match value:
        case Point(0, y) if positive(y):
            return f"axis {y}"
        case Point(x=x, y=0):
            return f"flat {x}"
        case HasX():
            return "has x"
        case {"kind": str(kind), **rest}:
            return kind, len(rest)
        case [first, *others]:
            return describe(first), len(others)
        case int() | float() if positive(value):
            return "number"
        case _:
            return "other"


values = [Point(0, 3), Point(2, 0), Point(5, 5), {"kind": "k", "z": 1}, [1, 2, 3], -1, None]
print([describe(value) for value in values])
