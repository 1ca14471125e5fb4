"""A RecursionError that is caught. How deep it got depends on what is below `<module>`."""

# oracle: by-hand


def endless(n):
    return endless(n + 1)


def main():
    try:
        endless(0)
    except RecursionError as error:
        return type(error).__name__


def after():
    return "still fine"


print(main(), after())
