"""Callables of unusual kinds: C callables as __call__, methods of methods, proxies, operator.call."""

import functools
import operator
import types
import weakref


class CallsLen:
    __call__ = staticmethod(len)


class CallsPartial:
    __call__ = staticmethod(functools.partial(print, end=""))


class CallsClass:
    class __call__:
        def __init__(self, *args):
            self.args = args


def function(*args):
    return len(args)


method = types.MethodType(function, 1)
print(CallsLen()([1, 2]), CallsPartial()(), type(CallsClass()(3)).__name__, method(2, 3))
print(functools.partial(functools.partial(function, 1), 2)(3), weakref.proxy(function)(1, 2))
print(staticmethod(function)(1), operator.call(function, 1, 2), types.MethodType(method, 0)(5))
print(functools.partialmethod(function, 1).__get__(3)(), functools.singledispatch(function)(1))
print(types.FunctionType(function.__code__, {"__name__": "elsewhere", "len": len})(1, 2))
print((lambda: (lambda: 1)())(), (lambda f: f(f))(lambda f: 2), type.__call__(list))
