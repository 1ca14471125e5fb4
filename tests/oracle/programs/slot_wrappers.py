"""Slot wrappers, method-wrappers, class and static methods of C types, getset functions."""


class Child(dict):
    def __init__(self, *args):
        dict.__init__(self, *args)
        object.__repr__(self)

    def __setitem__(self, key, value):
        super().__setitem__(key, value)


child = Child({"a": 1})
child["b"] = 2
length = [1, 2].__len__
print(length(), "a".__add__("b"), (5).__add__(6), int.__add__(1, 2), list.__len__([1]))
print(object.__eq__(1, 1), type.__call__(int, "7"), str.maketrans({"a": "b"}), type.mro(Child)[1])
print(int.from_bytes(b"\x01", "big"), float.fromhex("0x1p3"), dict.__new__(Child) == {}, len(child))
print(
    property(lambda self: 1).__get__(3), (lambda: 4).__call__(), Child.fromkeys("x"), [].__class__()
)
print(dict.get({"k": 1}, "k"), child.get("b"), child.pop("b"), "x".__class__.__name__)
