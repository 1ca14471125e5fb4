"""Closures, nested functions, lambdas with defaults and functions in containers."""


def counter():
    count = 0

    def step(by=1):
        nonlocal count
        count += by
        return count

    return step


def compose(*functions):
    def composed(x):
        for function in functions:
            x = function(x)
        return x

    return composed


def nested():
    def one():
        def two():
            def three():
                return 3

            return three()

        return two()

    return one()


step = counter()
step()
table = {"double": lambda x: x * 2, "negate": lambda x: -x}
print(step(5), compose(*table.values(), str)(4), nested())
print([f(2) for f in [lambda x, i=i: x + i for i in range(3)]], (lambda *a, **k: len(a))(1, 2))
