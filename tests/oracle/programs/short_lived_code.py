"""Many code objects and classes that live shortly: their addresses are used again."""


def make(i):
    namespace = {"__name__": f"short{i % 7}"}
    exec(f"def function_{i}(x):\n    return x + {i}", namespace)
    return namespace[f"function_{i}"](i)


def make_class(i):
    cls = type(f"Class{i}", (list,), {"size": lambda self: len(self)})
    return cls([1] * i).size()


def make_lambda(i):
    return eval(f"lambda x: x * {i}")(i)


print(sum(make(i) for i in range(200)))
print(sum(make_class(i) for i in range(60)), sum(make_lambda(i) for i in range(60)))
