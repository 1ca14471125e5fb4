"""How tables and trees look in a terminal: widths, colours, numbers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

PIPE_COLUMNS = 120
NARROWEST = 40
NAME_AT_LEAST = 20
GAP = "  "
RED, GREEN, YELLOW, BOLD, DIM = "31", "32", "33", "1", "2"


def columns() -> int:
    """The width of the terminal behind stdout; a roomy one for pipes."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return PIPE_COLUMNS
    return max(shutil.get_terminal_size((PIPE_COLUMNS, 24)).columns, NARROWEST)


def coloured() -> bool:
    """Whether stdout shows colours: a terminal, unless NO_COLOR is set or it is a dumb one."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def paint(text: str, colour: str, enabled: bool) -> str:
    """The text in a colour of the terminal's own."""
    return f"\x1b[{colour}m{text}\x1b[0m" if enabled and colour else text


def shorten(text: str, width: int) -> str:
    """At most `width` characters: names are told by their ends."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def printable(text: str) -> str:
    """A name without control characters and lone surrogates."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Lines of a table: numbers to the right, the last column a name that takes what is left."""
    widths = [
        max([len(head), *(len(row[at]) for row in rows)]) for at, head in enumerate(heads[:-1])
    ]
    left = max(width - sum(widths) - len(GAP) * len(widths), NAME_AT_LEAST)
    for row in [heads, *rows]:
        cells = [cell.rjust(size) for cell, size in zip(row, widths, strict=False)]
        yield GAP.join([*cells, shorten(row[-1], left)])


def percent(part: float, whole: float) -> str:
    """Such as "12.3%"."""
    return f"{100 * part / whole:.1f}%" if whole else "0.0%"
