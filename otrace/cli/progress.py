"""A progress bar on stderr, for people, when something takes longer than a second."""

import os
import sys
import time
from contextlib import suppress
from typing import Self

from otrace.cli.words import is_terminal

DELAY_S = 1.0
INTERVAL_S = 0.1
WIDTH = 30
NARROW = 80


def terminal_columns() -> int:
    """The width of the terminal behind stderr."""
    try:
        return os.get_terminal_size(2).columns or NARROW
    except OSError:
        return NARROW


class ProgressBar:
    """Called with the fraction done. Draws nothing when stderr is no terminal, or within `delay`.

    A context manager: the line is gone at its end.
    """

    def __init__(self, label: str, *, quiet: bool = False, delay_s: float = DELAY_S) -> None:
        self._label = label
        self._enabled = not quiet and is_terminal()
        self._next = time.monotonic() + delay_s
        self._drawn = False

    def __call__(self, fraction: float) -> None:
        """Show the fraction, from 0.0 to 1.0."""
        if not self._enabled or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL_S
        self._drawn = True
        self._write("\r" + self._line(min(max(fraction, 0.0), 1.0)) + "\x1b[K")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._drawn:
            self._write("\r\x1b[K")

    def _line(self, fraction: float) -> str:
        done = round(fraction * WIDTH)
        line = f"otrace: [{'#' * done}{' ' * (WIDTH - done)}] {fraction:4.0%} {self._label}"
        return line[: terminal_columns() - 1]

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text.encode("ascii", "backslashreplace").decode())
            sys.stderr.flush()
