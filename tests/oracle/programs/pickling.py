"""pickle in C and in Python, with __reduce__, __getstate__ and __setstate__."""

import pickle


class Reduced:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return rebuild, (self.value,)


class Stateful:
    def __init__(self):
        self.kept, self.dropped = 1, 2

    def __getstate__(self):
        return {"kept": self.kept}

    def __setstate__(self, state):
        self.__dict__.update(state)


def rebuild(value):
    return Reduced(value + 1)


data = {"r": [Reduced(1), Reduced(2)], "s": Stateful()}
copy = pickle.loads(pickle.dumps(data))
print([item.value for item in copy["r"]], vars(copy["s"]))
slow = pickle._loads(pickle._dumps(data, protocol=2))
print([item.value for item in slow["r"]], vars(slow["s"]))
try:
    pickle.dumps(lambda: 0)
except (pickle.PicklingError, AttributeError):
    print("cannot")
