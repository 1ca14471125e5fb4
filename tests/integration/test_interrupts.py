"""What the program's own code raises while its attributes are taken: none of it is otrace's."""

from __future__ import annotations

import pytest

PRELUDE = """\
import os, signal, threading
import otrace
class Interrupted:
    "Its repr is interrupted by a signal whose handler raises."
    def __repr__(self):
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(100):
            pass
        return "never"
class Text(Interrupted):
    __str__ = Interrupted.__repr__
class Mapping(Interrupted):
    def keys(self):
        return [repr(self)]
class Exits:
    def __repr__(self):
        raise SystemExit(3)
class Fails:
    def __repr__(self):
        raise ValueError("on purpose")
class OwnError(Exception):
    pass
def handler(number, frame):
    raise raised
signal.signal(signal.SIGUSR1, handler)
raised = KeyboardInterrupt
def span():
    return otrace.log_event("span")
def nothing():
    pass
"""
FORMS = {
    "an instant": "otrace.log_instant('i', a=Interrupted())",
    "in a list": "otrace.log_instant('i', a=[1, Interrupted(), Fails()], b=Interrupted())",
    "a key": "otrace.log_instant('i', {Text(): 1})",
    "a counter": "otrace.log_counter('c', a=Interrupted())",
    "a mapping": "otrace.log_event('e', Mapping())",
    "the beginning of a span": "with otrace.log_event('e', a=Interrupted()): print('body')",
    "the end of a span": "with span() as e: e.set(a=Interrupted())",
    "a set": "with span() as e: e.set(Mapping())",
    "the end of a span that raises": "with span() as e: e.set(a=Interrupted()); 1 / 0",
    "a decorator": "otrace.log_event('e', a=Interrupted())(nothing)()",
}


def run(otrace, form):
    """What the form raised, in the words of the program."""
    otrace.write(
        "app.py",
        f"{PRELUDE}try:\n    {form}\nexcept BaseException as error:\n"
        "    print(type(error).__name__)\nelse:\n    print('nothing')\n",
    )
    return otrace("run", "-q", "-o", "t.json", "app.py").stdout


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupt_reaches_the_program(otrace, form):
    assert run(otrace, FORMS[form]) == "KeyboardInterrupt\n"


def test_an_exit_reaches_the_program(otrace):
    assert run(otrace, "otrace.log_instant('i', a=Exits())") == "SystemExit\n"


def test_what_a_repr_raises_does_not(otrace):
    assert run(otrace, "otrace.log_instant('i', a=Fails(), b=[Fails()])") == "nothing\n"


def test_a_handler_may_raise_any_exception(otrace):
    """One that waits to be run when the repr is taken is not lost."""
    form = (
        "raised = OwnError; signal.pthread_kill(threading.get_ident(), signal.SIGUSR1);"
        " otrace.log_instant('i', a=b'bytes')"
    )
    assert run(otrace, form) == "OwnError\n"
