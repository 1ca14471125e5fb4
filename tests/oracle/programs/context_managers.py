"""with statements: classes, contextlib, ExitStack, suppress, and exceptions through them."""

import contextlib


class Managed:
    def __init__(self, name, swallow=False):
        self.name, self.swallow = name, swallow

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        return self.swallow and kind is not None


@contextlib.contextmanager
def section(name, log):
    log.append(f"+{name}")
    try:
        yield name
    except KeyError:
        log.append("swallowed")
    finally:
        log.append(f"-{name}")


def main(log):
    with Managed("a") as a, Managed(a.name + "b", swallow=True):
        raise ValueError
    with section("one", log) as one, contextlib.suppress(IndexError):
        log.append(one)
        [][0]
    with section("two", log):
        raise KeyError
    with contextlib.ExitStack() as stack:
        stack.enter_context(section("three", log))
        stack.callback(log.append, "callback")
    try:
        with section("four", log):
            raise OSError
    except OSError:
        return log


print(main([]))
