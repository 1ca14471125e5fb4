"""Names with unicode, quotes, line ends, nothing at all, and very long ones."""


def naïve_größe():
    return 1


def 函数(é):
    return é


class Ünïcode:
    def método(self):
        return 函数(2)


def renamed(name):
    def template():
        return name

    code = template.__code__.replace(co_name=name, co_qualname=name)
    function = type(template)(code, globals(), name, None, template.__closure__)
    return function()


print(naïve_größe(), Ünïcode().método())
for name in (
    'a"b\n\\c',
    "tab\tand\x01control\x7f",
    "😀 emoji",
    "",
    "</script>",
    "n" * 4_000,
    "\u2028",
    "lone \udc80 surrogate",
    "nul\0inside",
):
    renamed(name)
Strange = type('St"range\n', (), {"__module__": "mod\\ule", "__call__": lambda self: 0})
Strange()()
exec("def f(): pass\nf()", {"__name__": 'package"quoted\u00e9.mod'})
exec(compile("def f(): pass\nf()", 'file "odd\\name\udcff\n.py', "exec"))
