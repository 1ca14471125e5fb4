"""Which words of `otrace run …` are otrace's, and which are the program's.

Options of otrace come before the program. Directly after a script, `--export` and `-o` are still
otrace's; the first other word, or `--`, ends that. After `-m`, `-c` and a console script everything
is the program's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from otrace.errors import UsageError

Kind = Literal["script", "module", "code", "console"]
IsScript = Callable[[str], bool]
"""Tells a file for Python from the name of a program on PATH."""


@dataclass(frozen=True)
class Invocation:
    """The program that was asked for."""

    kind: Kind
    program: str
    """A path, a module's name, source text, or a console script's name."""
    arguments: tuple[str, ...]


def split(
    words: Sequence[str], takes_value: frozenset[str], is_script: IsScript
) -> tuple[list[str], Invocation | None]:
    """(otrace's own words, the program); no program when there is none.

    `takes_value` holds the flags that are followed by a value, such as "--export" and "-o".
    """
    own: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":  # all that follows is the program and its words, as they are
            return own, from_word(words[position + 1 :], is_script, own, also_after=False)
        if word == "-" or not word.startswith("-"):
            return own, from_word(words[position:], is_script, own, also_after=True)
        if word.startswith("--"):
            width = 2 if word in takes_value else 1
        else:
            width, program = short_options(words[position:], takes_value, own)
            if program is not None:
                return own, program
        own.extend(words[position : position + width])
        position += width
    return own, None


def short_options(
    words: Sequence[str], takes_value: frozenset[str], own: list[str]
) -> tuple[int, Invocation | None]:
    """Read the cluster `words[0]`, such as -q, -ofile or -qm: (words used, the program)."""
    cluster = words[0][1:]
    for index, letter in enumerate(cluster):
        rest = cluster[index + 1 :]
        if letter in "mc":
            if cluster[:index]:
                own.append("-" + cluster[:index])
            follows = list(words[1:]) if rest else list(words[2:])
            if not rest and len(words) < 2:
                raise UsageError(f"-{letter} needs {'a module' if letter == 'm' else 'some code'}")
            kind: Kind = "module" if letter == "m" else "code"
            return len(words), Invocation(kind, rest or words[1], tuple(follows))
        if f"-{letter}" in takes_value:
            return (1 if rest else 2), None
    return 1, None


def from_word(
    words: Sequence[str], is_script: IsScript, own: list[str], *, also_after: bool
) -> Invocation | None:
    """The program that `words[0]` names; otrace's options directly after a script go to `own`."""
    if not words:
        return None
    program, rest = words[0], list(words[1:])
    if not is_script(program):
        return Invocation("console", program, tuple(rest))
    while also_after and rest:
        word = rest[0]
        if word == "--":
            rest = rest[1:]
            break
        if word in ("--export", "-o"):
            if len(rest) < 2:
                raise UsageError(
                    f"{word} after {program} needs a value; "
                    f"write -- before it when it is the program's own"
                )
            own.extend(rest[:2])
            rest = rest[2:]
        elif word.startswith("--export=") or (word.startswith("-o") and len(word) > 2):
            own.append(word)
            rest = rest[1:]
        else:
            break
    return Invocation("script", program, tuple(rest))
