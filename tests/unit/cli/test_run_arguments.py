"""Which words are otrace's and which are the program's."""

import pytest

from otrace.cli.run_arguments import Invocation, split
from otrace.errors import UsageError

VALUED = frozenset({"--export", "-o", "--output", "--include", "-m", "-c"})


def is_script(word):
    return word.endswith(".py") or word == "-"


def parse(text):
    own, invocation = split(text.split(), VALUED, is_script)
    if invocation is None:
        return " ".join(own), None
    program = (invocation.kind, invocation.program, " ".join(invocation.arguments))
    return " ".join(own), program


@pytest.mark.parametrize(
    ("line", "own", "program"),
    [
        ("app.py", "", ("script", "app.py", "")),
        ("app.py a -b", "", ("script", "app.py", "a -b")),
        ("--export chrome app.py", "--export chrome", ("script", "app.py", "")),
        ("--export=chrome app.py", "--export=chrome", ("script", "app.py", "")),
        ("-o x.py app.py", "-o x.py", ("script", "app.py", "")),
        ("-ox.py app.py", "-ox.py", ("script", "app.py", "")),
        ("-qo x app.py", "-qo x", ("script", "app.py", "")),
        ("-q --keep app.py", "-q --keep", ("script", "app.py", "")),
        # Directly after a script: --export and -o alone, in all their forms.
        ("app.py --export chrome", "--export chrome", ("script", "app.py", "")),
        ("app.py --export=chrome a", "--export=chrome", ("script", "app.py", "a")),
        ("app.py -o x", "-o x", ("script", "app.py", "")),
        ("app.py -ox y", "-ox", ("script", "app.py", "y")),
        (
            "app.py --export a --export b -o c d -o e",
            "--export a --export b -o c",
            ("script", "app.py", "d -o e"),
        ),
        ("app.py serve --export x", "", ("script", "app.py", "serve --export x")),
        ("app.py --port 80", "", ("script", "app.py", "--port 80")),
        ("app.py --port 80 -o x", "", ("script", "app.py", "--port 80 -o x")),
        ("app.py -- -o y", "", ("script", "app.py", "-o y")),
        ("app.py -o y -- -o z -- a", "-o y", ("script", "app.py", "-o z -- a")),
        ("app.py a -- b", "", ("script", "app.py", "a -- b")),
        ("app.py --output x", "", ("script", "app.py", "--output x")),
        ("app.py --exporter x", "", ("script", "app.py", "--exporter x")),
        ("app.py --keep -q", "", ("script", "app.py", "--keep -q")),
        ("-q app.py -o x", "-q -o x", ("script", "app.py", "")),
        ("-- app.py -o x", "", ("script", "app.py", "-o x")),
        ("-q -- app.py -- a", "-q", ("script", "app.py", "-- a")),
        ("- a", "", ("script", "-", "a")),
        # After a module, code or a console script: nothing.
        ("-m mod --export x -o y", "", ("module", "mod", "--export x -o y")),
        ("-m mod -- x", "", ("module", "mod", "-- x")),
        ("-mmod -o y", "", ("module", "mod", "-o y")),
        ("-qm mod -o y", "-q", ("module", "mod", "-o y")),
        ("-q -o x -m mod -m a", "-q -o x", ("module", "mod", "-m a")),
        ("-c pass --export x", "", ("code", "pass", "--export x")),
        ("-cpass -o x", "", ("code", "pass", "-o x")),
        ("pytest tests -o x", "", ("console", "pytest", "tests -o x")),
        ("pytest -o x --export y", "", ("console", "pytest", "-o x --export y")),
        ("--include app.py pytest", "--include app.py", ("console", "pytest", "")),
        ("-o -m app.py", "-o -m", ("script", "app.py", "")),
        # No program.
        ("", "", None),
        ("--export x", "--export x", None),
        ("-q --", "-q", None),
        ("-o", "-o", None),
    ],
)
def test_split(line, own, program):
    assert parse(line) == (own, program)


def test_words_stay_as_they_are():
    words = ["app.py", "", "a b", "--x=\n", "\udcff"]
    own, invocation = split(words, VALUED, is_script)
    assert own == []
    assert invocation == Invocation("script", "app.py", ("", "a b", "--x=\n", "\udcff"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-m", "-m needs a module"),
        ("-qc", "-c needs some code"),
        ("app.py -o", "-o after app.py needs a value; write -- before it"),
        ("app.py --export", "--export after app.py needs a value"),
    ],
)
def test_missing_values(line, message):
    with pytest.raises(UsageError, match=message):
        parse(line)
