"""List, set and dict comprehensions (calls up to 3.11 only) and generator expressions."""


def double(x):
    return x * 2


def build():
    squares = [double(x) for x in range(5)]
    odd = {x for x in squares if x % 4}
    named = {str(x): [double(y) for y in range(x)] for x in range(3)}
    return squares, sorted(odd), named


class Table:
    rows = [len(word) for word in ("a", "bb", "ccc")]
    width = sum(size for size in rows)


print(build(), Table.rows, Table.width)
print(sum(double(x) for x in range(4)), any(x > 2 for x in range(10)), all(x for x in (1, 0, 1)))
print([y for x in range(3) for y in (double(z) for z in range(x))])
