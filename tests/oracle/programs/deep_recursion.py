"""900 frames, the depth that the default limit allows, down and up again twice."""


def down(n):
    return 0 if n == 0 else 1 + down(n - 1)


def climb(n):
    if n:
        yield from climb(n - 1)
    yield n


print(down(900), sum(climb(60)))
