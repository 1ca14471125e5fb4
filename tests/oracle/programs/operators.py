"""Operator overloading: arithmetic, reflected, in-place, comparison, containers, conversion."""


class Vector:
    def __init__(self, *values):
        self.values = list(values)

    def __add__(self, other):
        return Vector(*(a + b for a, b in zip(self.values, other.values)))

    def __mul__(self, other):
        if not isinstance(other, (int, float)):
            return NotImplemented
        return Vector(*[a * other for a in self.values])

    __rmul__ = __mul__

    def __iadd__(self, other):
        self.values = (self + other).values
        return self

    def __eq__(self, other):
        return self.values == other.values

    def __hash__(self):
        return hash(tuple(self.values))

    def __getitem__(self, index):
        return self.values[index]

    def __len__(self):
        return len(self.values)

    def __contains__(self, value):
        return value in self.values

    def __iter__(self):
        return iter(self.values)

    def __neg__(self):
        return -1 * self

    def __matmul__(self, other):
        return sum(a * b for a, b in zip(self, other))


a, b = Vector(1, 2), Vector(3, 4)
a += b
print(list(a), list(2 * a), a == Vector(4, 6), a @ b, 4 in a, len(a), a[0], list(-a), {a: 1}[a])
try:
    a * "x"
except TypeError:
    print(bool(a), list(reversed(a)))
