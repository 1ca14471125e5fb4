"""Huge argument lists, star-calls, keyword-only and positional-only parameters, defaults."""


def gather(*args, **kwargs):
    return len(args), len(kwargs)


def strict(a, /, b, *, c, d=4):
    return a + b + c + d


def forward(*args, **kwargs):
    return strict(*args, **kwargs)


many = list(range(1000))
print(gather(*many), gather(**{f"k{i}": i for i in range(300)}))
print(
    gather(*many, *many, x=1, **{"y": 2}), strict(1, 2, c=3), forward(1, *[2], **{"c": 3, "d": 0})
)
print(max(*many), "{} {}".format(*["a", "b"]), dict(**{"a": 1}), print(*[], end=""))
long_call = eval("gather(" + ", ".join(map(str, range(400))) + ")")
for bad in (lambda: strict(1), lambda: strict(a=1, b=2, c=3), lambda: len(*[1, 2])):
    try:
        bad()
    except TypeError:
        print("TypeError")
