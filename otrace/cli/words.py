"""otrace's own words, on stderr, and how numbers are written in them."""

import os
import sys
from contextlib import suppress


def say(text: str) -> None:
    """Write one line `otrace: TEXT` to stderr; never fails."""
    line = f"otrace: {' '.join(text.split())}\n"
    with suppress(OSError, ValueError, AttributeError):
        encoding = sys.stderr.encoding or "ascii"
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


def is_terminal() -> bool:
    """Whether a person sees stderr at once."""
    try:
        return os.isatty(2)
    except OSError:
        return False


def count(number: int, thing: str) -> str:
    """Such as "1 call", "1,234 calls", "2 processes"."""
    if number == 1:
        return f"1 {thing}"
    return f"{number:,} {thing}{'es' if thing.endswith('s') else 's'}"


def size(number: int) -> str:
    """Bytes in a unit that leaves at most four digits: "512 B", "12.3 MB"."""
    if number < 1000:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def duration(nanoseconds: int) -> str:
    """A duration with three significant digits or more: "1.23 ms", "12.3 s", "75.0 s"."""
    if nanoseconds < 1000:
        return f"{nanoseconds} ns"
    value = float(nanoseconds)
    for unit in ("us", "ms", "s"):
        value /= 1000
        if value < 999.5 or unit == "s":
            break
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"
