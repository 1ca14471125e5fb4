"""Exceptions that start in C, or pass through a C call on their way up."""

import json


def key(x):
    if x == 3:
        raise RuntimeError("three")
    return -x


def convert(text):
    return int(text)


def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error).__name__


def sort_it():
    return sorted([1, 2, 3, 4], key=key)


def map_it():
    return list(map(convert, ["1", "2", "x"]))


def direct():
    try:
        int("x")
    except ValueError:
        pass
    try:
        len(3)
    except TypeError:
        pass
    try:
        [].pop()
    except IndexError:
        pass
    try:
        next(iter(()))
    except StopIteration:
        return "stopped"


print(attempt(sort_it), attempt(map_it), direct())
print(attempt(json.loads, "{junk"), attempt(convert, "y"), attempt({}.__getitem__, "k"))
