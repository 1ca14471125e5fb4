"""ast.parse and ast.unparse: visitors, context managers and generators of a real library."""

import ast

SOURCE = """
@decorator(1)
def f(a, b=2, *c, d, **e) -> int:
    with open(a) as x, y:
        return [z ** 2 for z in b if z > 0 or not z]
class C(B, metaclass=M):
    x: int = 1
    async def g(self):
        try:
            await h()
        except (A, B) as error:
            raise error from None
        finally:
            print(f"{self!r:>{10}} text")
"""


class Renamer(ast.NodeTransformer):
    def visit_Name(self, node):
        return ast.Name(node.id.upper(), node.ctx)


tree = Renamer().visit(ast.parse(SOURCE))
print(ast.unparse(tree))
print(sum(1 for _ in ast.walk(tree)), ast.literal_eval("{'a': [1, (2, 3)]}"))
