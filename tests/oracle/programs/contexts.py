"""contextvars: Context.run calls Python from C, nested and with exceptions."""

import contextvars

variable = contextvars.ContextVar("variable", default=0)


def inner(n):
    token = variable.set(n)
    seen = variable.get()
    variable.reset(token)
    return seen


def outer(n):
    context = contextvars.copy_context()
    return context.run(inner, n) + contextvars.Context().run(lambda: inner(n + 1))


def failing():
    raise OSError("inside a context")


print(outer(1), variable.get())
try:
    contextvars.copy_context().run(failing)
except OSError as error:
    print(error)
