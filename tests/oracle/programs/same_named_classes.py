"""Short-lived classes that share a name but not a module: their addresses are used again."""

import gc

gc.disable()


def one():
    class Local:
        pass

    return Local()


def two():
    class Local:
        def __init__(self):
            self.x = 1

    return Local()


def made(i):
    return type("Same", (), {"__module__": f"module{i % 5}", "__qualname__": f"Outer{i % 3}.Same"})()


for number in range(30):
    one()
    gc.collect()
    two()
    gc.collect()
    made(number)
    gc.collect()
