"""exec, eval and compile, with globals that have another name, none, or a strange one."""

source = "def made(n):\n    return n + 1\nresult = made(1)\n"
named = {"__name__": "made.up"}
exec(source, named)
nameless = {"__builtins__": {}}
exec(compile(source, "<nameless>", "exec"), nameless)
strange = {"__name__": 42}
exec(compile(source, "<strange>", "exec"), strange)
local = {}
exec("def here():\n    return [x for x in (1, 2)]\nvalue = here()", globals(), local)


def evaluate(text):
    return eval(text)


print(named["made"](2), nameless["made"](3), strange["made"](4), local["value"])
print(evaluate("1 + 2"), eval("made(5)", named), eval(compile("len('abc')", "<expr>", "eval")))
try:
    eval("1 +")
except SyntaxError as error:
    print(error.msg)
try:
    exec("raise KeyError('inside')")
except KeyError as error:
    print(error)
