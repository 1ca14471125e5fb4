"""Exceptions that leave Python frames, are handled, replaced, chained and raised again."""


class Boom(Exception):
    class Inner(Exception):
        pass


def raising(kind):
    raise kind("here")


def middle(kind):
    return raising(kind)


def handled():
    try:
        middle(ValueError)
    except ValueError:
        return None


def replaced():
    try:
        middle(KeyError)
    except KeyError as error:
        raise Boom("instead") from error


def again():
    try:
        middle(Boom.Inner)
    except Boom.Inner:
        raise


def divide(a, b):
    return a / b


handled()
for function in (replaced, again):
    try:
        function()
    except Exception as error:
        print(type(error).__qualname__, repr(error.__cause__))
for bad in ((1, 0), ("a", 1)):
    try:
        divide(*bad)
    except (ZeroDivisionError, TypeError) as error:
        print(error)
