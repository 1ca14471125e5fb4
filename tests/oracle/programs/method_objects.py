"""Bound methods, methods of C callables, and calls that never report their end."""

import operator
import types


class Thing:
    def method(self, *args):
        return len(args)

    def __call__(self):
        return "called"


def free(*args):
    return args


thing = Thing()
bound = thing.method
odd = types.MethodType(len, [1, 2])
odd()
nothing = free()
types.MethodType(free, thing)()
types.MethodType(thing, ())
print(bound(1), Thing.method(thing, 1, 2), thing(), operator.attrgetter("__class__")(3).__name__)
print(operator.methodcaller("upper")("x"), operator.itemgetter(0)([7]), operator.add(1, 2))
append = [].append
append(1)
print(
    list.append([], 1), str.upper("a"), dict.fromkeys("ab"), bytes.fromhex("00ff"), "x".join("ab")
)
