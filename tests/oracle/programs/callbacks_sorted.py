"""C functions that call back: sorted, min, max, map, filter, sum, and their lambdas."""


def negative(x):
    return -x


class Number:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return self.value < other.value

    def __radd__(self, other):
        return other + self.value

    def __bool__(self):
        return self.value > 1


numbers = [Number(n) for n in (3, 1, 2)]
print(sorted([1, 3, 2], key=negative), max([1, 2, 3], key=lambda x: x % 3))
print([number.value for number in sorted(numbers)], sum(numbers), min(numbers).value)
print(list(map(lambda x, y: x + y, [1, 2], [3, 4])), list(filter(negative, [0, 1, 2])))
print([n.value for n in filter(None, numbers)], any(map(negative, [0, 0, 1])))
words = ["bb", "a", "ccc"]
words.sort(key=len)
numbers.sort(key=lambda number: number.value, reverse=True)
print(words, dict(sorted({"b": 1, "a": 2}.items(), key=lambda pair: pair[1])))
