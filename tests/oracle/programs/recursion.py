"""Plain recursion: fib(10) is 177 calls, factorial(20) is 21, ackermann(2, 3) is 44."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def factorial(n):
    return 1 if n == 0 else n * factorial(n - 1)


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


print(fib(10), factorial(20), ackermann(2, 3))
