"""An exception that nobody catches ends the program."""

# oracle: status=1


class Failure(Exception):
    pass


def inner(n):
    if n == 0:
        raise Failure("at the bottom")
    return inner(n - 1)


def generate():
    yield 1
    yield inner(2)


def main():
    return list(generate())


print("before")
main()
