"""Two and three functions that call one another."""


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def one(n):
    return [] if n <= 0 else [*two(n - 1), 1]


def two(n):
    return [] if n <= 0 else [*three(n - 1), 2]


def three(n):
    return [] if n <= 0 else [*one(n - 1), 3]


print(even(50), odd(51), one(20))
