"""Source text for the viewer: put into a Perfetto trace, once for each function.

Slices refer to interned source locations: file and line. This gives the locations of Python files
their text as well, in the one field of a location that the UI shows besides, its function's name.
docs/viewer.md tells of that.
"""

from __future__ import annotations

import inspect
import mmap
import os
import tokenize
from functools import cache

from otrace.errors import ExportError
from otrace_exporters.protobuf import BYTES, bytes_field, fields, replaced, whole_fields

MOST_LINES = 80
MOST_CHARACTERS = 4000
LARGEST_FILE = 4 << 20
PYTHON_SUFFIXES = (".py", ".pyw")
STARTS = ("def ", "async def ", "class ", "@", "lambda")

# Numbers of fields in Perfetto's messages.
PACKET = 1
INTERNED_DATA = 12
SOURCE_LOCATIONS = 4
LOCATION_FILE, LOCATION_FUNCTION, LOCATION_LINE = 2, 3, 4
INTERNED_TAG = bytes([INTERNED_DATA << 3 | BYTES])


def add_sources(source: str, target: str) -> None:
    """Copy a Perfetto trace of otrace's with the text of its functions. Raises ExportError."""
    try:
        with (
            open(source, "rb") as reading,
            mmap.mmap(reading.fileno(), 0, access=mmap.ACCESS_READ) as trace,
            open(target, "wb") as writing,
        ):
            for _, packet, whole in whole_fields(trace):
                # It may have interned data: most have none.
                if isinstance(packet, bytes) and INTERNED_TAG in packet:
                    writing.write(bytes_field(PACKET, with_sources(packet)))
                else:
                    writing.write(whole)
    except (OSError, ValueError) as error:
        raise ExportError(f"cannot add source text to the trace: {error}") from error


def with_sources(packet: bytes) -> bytes:
    """A packet, its interned source locations with text."""
    return replaced(packet, INTERNED_DATA, with_texts)


def with_texts(interned: bytes) -> bytes:
    """Interned data, its source locations with text."""
    return replaced(interned, SOURCE_LOCATIONS, lambda location: location + text_of(location))


def text_of(location: bytes) -> bytes:
    """The field with the text of the function at a location; none where it cannot be read."""
    found = dict(fields(location))
    file, line = found.get(LOCATION_FILE), found.get(LOCATION_LINE)
    if not isinstance(file, bytes) or not isinstance(line, int):
        return b""
    text = source_of(os.fsdecode(file), line)
    return bytes_field(LOCATION_FUNCTION, text.encode(errors="replace")) if text else b""


@cache
def source_of(file: str, line: int) -> str:
    """The text of the function at a line of a Python file; empty where there is none."""
    lines = lines_of(file)[line - 1 :] if line > 0 else []
    if not lines or not lines[0].lstrip().startswith(STARTS):
        return ""
    try:
        block = inspect.getblock(list(lines[: MOST_LINES * 4]))
    except (tokenize.TokenError, SyntaxError):
        block = list(lines[:1])
    text = "".join(block[:MOST_LINES])
    if len(text) > MOST_CHARACTERS or len(block) > MOST_LINES:
        text = text[:MOST_CHARACTERS].rstrip() + "\n…"
    return text


@cache
def lines_of(file: str) -> tuple[str, ...]:
    """The lines of a Python file, none where it cannot be read."""
    try:
        if not file.endswith(PYTHON_SUFFIXES) or os.path.getsize(file) > LARGEST_FILE:
            return ()
        with tokenize.open(file) as opened:
            return tuple(opened)
    except (OSError, SyntaxError, ValueError):
        return ()
