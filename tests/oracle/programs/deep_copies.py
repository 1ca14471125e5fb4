"""copy.copy and copy.deepcopy, with __copy__, __deepcopy__, cycles and shared parts."""

import copy


class Plain:
    def __init__(self, part):
        self.part = part


class Custom:
    def __init__(self):
        self.copies = 0

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        other = Custom()
        other.copies = self.copies + 1
        return other


shared = [1, 2, (3, [4])]
plain = Plain(shared)
plain.me = plain
data = {"a": plain, "b": shared, "c": Custom()}
other = copy.deepcopy(data)
print(other["a"].part is other["b"], other["a"].me is other["a"], other["c"].copies)
print(copy.copy(data)["a"] is plain, copy.copy(plain).part is shared, copy.copy(Custom()).copies)
