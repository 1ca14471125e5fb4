"""Generators that run to their end, by for, next, unpacking and yield from."""


def count(n):
    i = 0
    while i < n:
        yield i
        i += 1
    return "done"


def chain(*generators):
    results = []
    for generator in generators:
        results.append((yield from generator))
    return results


def total():
    result = yield from chain(count(3), count(2))
    yield result


def empty():
    return
    yield


print(list(count(4)), sum(count(3)), [*total()], list(empty()))
first, *rest = count(5)
print(first, rest, max(x * x for x in count(4)))
iterator = count(1)
print(next(iterator), next(iterator, "end"), next(iterator, "still the end"))
