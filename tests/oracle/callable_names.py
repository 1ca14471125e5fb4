"""How a call is called: the public naming rules, written down a second time in Python.

Python code     `<module>.<co_qualname>`, the module being `__name__` of the globals; the bare
                qualified name when `__name__` is missing or not a string.
Types           `module.qualname`, without the module when it is `builtins`.
Functions in C  `module.name`; the bare name when they have no module.
Methods in C    `<type>.<name>`, the type being the one that defines the method, whether it is
                called on an instance (`list.append`), on the type (`dict.fromkeys`) or is a slot
                (`object.__init__`).
Anything else   the name of its type (`functools.partial`).

Nothing here runs code of the program: no attribute of a user's object is looked up.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

_type_dict: "Any" = type.__dict__
_mro = _type_dict["__mro__"].__get__
_namespace = _type_dict["__dict__"].__get__
_module = _type_dict["__module__"].__get__
_qualname = _type_dict["__qualname__"].__get__


class _Probe:
    def method(self) -> None:
        """Only its type is of interest."""


PythonFunction = type(_Probe.method)
PythonMethod = type(_Probe().method)
BuiltinFunction = type(len)
MethodDescriptor = type(list.append)
ClassMethodDescriptor = type(_namespace(dict)["fromkeys"])
SlotWrapper = type(object.__init__)
MethodWrapper = type([].__len__)
Module = type(sys)


def of_code(code: "CodeType", namespace: "dict[str, Any]") -> str:
    """The name of a Python call."""
    module = dict.get(namespace, "__name__")
    return f"{module}.{code.co_qualname}" if isinstance(module, str) else code.co_qualname


def of_type(kind: type) -> str:
    """The name of a type: of a call of it, and of an exception."""
    try:
        module = _module(kind)
    except AttributeError:  # deleted by the program
        module = None
    qualname: str = _qualname(kind)
    with_module = isinstance(module, str) and module != "builtins"
    return f"{module}.{qualname}" if with_module else qualname


def of_callable(callable_: "Any") -> "str | None":
    """The name of a C call, or None when the callable is a Python function or method."""
    if type(callable_) is PythonMethod:  # once: a method of a method is a call of its own
        callable_ = callable_.__func__  # type: ignore[attr-defined]
    kind = type(callable_)
    if kind is PythonFunction:
        return None
    if isinstance_type(kind):
        return of_type(callable_)
    if BuiltinFunction in _mro(kind):  # or `builtin_method`, its subtype
        return of_builtin(callable_)
    if kind in (MethodDescriptor, ClassMethodDescriptor, SlotWrapper, MethodWrapper):
        return f"{of_type(callable_.__objclass__)}.{callable_.__name__}"
    return of_type(kind)


def isinstance_type(kind: type) -> bool:
    """Whether instances of `kind` are types (`isinstance` could be answered by the program)."""
    return type in _mro(kind)


def of_builtin(function: "Any") -> str:
    """The name of a function or bound method in C, from where it is defined."""
    owner, name, module = function.__self__, function.__name__, function.__module__
    if owner is None:  # also for a static method, which shows its type only to pickle
        reduced = function.__reduce__()
        owner = None if isinstance(reduced, str) else reduced[1][0]
    if owner is None or type(owner) is Module:
        return f"{module}.{name}" if isinstance(module, str) else str(name)
    for cls, bound in _definitions(owner, name):
        # Equal when both have the same C function and the same `self`.
        if bound == function:
            return f"{of_type(cls)}.{name}"
    return f"{of_type(owner if isinstance_type(type(owner)) else type(owner))}.{name}"


def _definitions(owner: "Any", name: str) -> "Iterator[tuple[type, object]]":
    """(class, bound method) for each class in reach of `owner` that defines `name` in C."""
    if isinstance_type(type(owner)):
        for cls in _mro(owner) or ():  # None while its own `mro` runs
            entry = _namespace(cls).get(name)
            if type(entry) is ClassMethodDescriptor:
                yield cls, entry.__get__(None, owner)
            elif type(entry) in (BuiltinFunction, staticmethod):  # `__new__` and static methods
                yield cls, getattr(entry, "__func__", entry)
    for cls in _mro(type(owner)):
        entry = _namespace(cls).get(name)
        if type(entry) is MethodDescriptor:
            yield cls, entry.__get__(owner, type(owner))
