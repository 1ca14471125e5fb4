"""A small service in one process: three requests, of which one fails."""

import time

STOCK = {"bolt": 7, "nut": 2}


def handle(request):
    try:
        order = parse(request)
        reserve(order)
    except LookupError as error:
        return f"{request}: refused, {error.args[0]}"
    return f"{request}: {answer(order)}"


def parse(request):
    name, _, count = request.partition("*")
    return name, int(count)


def reserve(order):
    name, count = order
    for _ in range(count):
        take(name)


def take(name):
    time.sleep(0.001)
    if STOCK[name] == 0:
        raise LookupError(f"no {name} left")
    STOCK[name] -= 1


def answer(order):
    name, count = order
    time.sleep(0.002)
    return f"{count} on the way, {STOCK[name]} left"


def main():
    for request in ("bolt*3", "nut*4", "bolt*4"):
        print(handle(request))


if __name__ == "__main__":
    main()
