"""Generators closed early, thrown into, and left by their own exceptions."""


def stubborn():
    while True:
        try:
            yield "value"
        except ValueError as error:
            yield f"caught {error}"


def cleaning(log):
    try:
        yield 1
        yield 2
    finally:
        log.append("cleaned")


def outer(log):
    try:
        yield from cleaning(log)
    except KeyError:
        log.append("outer caught")
        yield "outer"


log = []
generator = stubborn()
print(next(generator), generator.throw(ValueError("one")), next(generator))
try:
    generator.throw(KeyError("two"))
except KeyError as error:
    print("out:", error)
closing = cleaning(log)
next(closing)
closing.close()
delegating = outer(log)
next(delegating)
print(delegating.throw(KeyError("three")), list(delegating), log)
unstarted = cleaning(log)
unstarted.close()
