"""Decorators: plain, with arguments, stacked, on classes and methods, with functools.wraps."""

import functools


def plain(function):
    def wrapper(*args):
        return function(*args)

    return wrapper


def repeated(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return [function(*args, **kwargs) for _ in range(times)]

        return wrapper

    return decorate


def register(cls):
    cls.registered = True
    return cls


@register
class Thing:
    @plain
    def method(self):
        return self.static(3)

    @staticmethod
    @repeated(2)
    def static(x):
        return x

    @classmethod
    @plain
    def make(cls):
        return cls()


@plain
@repeated(3)
@plain
def function(x):
    return x + 1


print(function(1), Thing.make().method(), Thing.registered)
