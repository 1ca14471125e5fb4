"""Calls of types: builtins, extension types, classes, exceptions, with and without errors."""

import array
import collections
import datetime
import decimal
import fractions


class Empty:
    pass


class WithNew:
    def __new__(cls, *args):
        return object.__new__(cls)


class SubList(list):
    def append(self, value):
        super().append(value)


print(int("3"), float(2), str(1), list("ab"), dict(a=1), tuple([1]), set([1]), bool(0), bytes(2))
print(datetime.timedelta(1), datetime.date(2024, 1, 2).isoformat(), decimal.Decimal("1.5") + 1)
print(
    collections.deque([1]), collections.OrderedDict(a=1), fractions.Fraction(1, 2), array.array("i")
)
print(type(Empty()).__name__, type(WithNew(1)).__name__, type(3), range(3), slice(1), complex(1, 2))
sub = SubList()
sub.append(1)
sub.extend([2])
queue = collections.deque()
queue.append(1)
print(sub, queue.popleft(), collections.Counter("aab")["a"], object() is not None, ValueError("x"))
print(
    datetime.datetime.fromtimestamp(0, datetime.timezone.utc),
    dict.fromkeys([1]),
    list(enumerate([])),
)
for kind, argument in ((int, "x"), (complex, "y"), (Empty, 1)):
    try:
        kind(argument)
    except (ValueError, TypeError) as error:
        print(type(error).__name__)
