"""Source text for the viewer: put into a Perfetto trace, once for each function.

Slices refer to interned source locations: file and line. This gives the locations of Python files
their text as well, in the one field of a location that the UI shows besides, its function's name.
docs/viewer.md tells of that.
"""

from __future__ import annotations

import inspect
import os
import tokenize
from collections.abc import Callable, Iterator
from functools import cache

from otrace.errors import ExportError

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
VARINT, LENGTH = 0, 2
INTERNED_TAG = bytes([INTERNED_DATA << 3 | LENGTH])


def add_sources(source: str, target: str) -> None:
    """Copy a Perfetto trace of otrace's with the text of its functions. Raises ExportError."""
    try:
        with open(source, "rb") as reading, open(target, "wb") as writing:
            while head := reading.read(1):
                size, prefix = read_size(reading.read)
                packet = reading.read(size)
                if INTERNED_TAG in packet:  # it may have interned data: most have none
                    packet = with_sources(packet)
                    prefix = varint(len(packet))
                writing.write(head + prefix + packet)
    except OSError as error:
        raise ExportError(f"cannot add source text to the trace: {error.strerror}") from error


def read_size(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """A packet's size, and the bytes that say it."""
    value = shift = 0
    taken = b""
    while True:
        byte = read(1)
        taken += byte
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value, taken


def with_sources(packet: bytes) -> bytes:
    """A packet, its interned source locations with text."""
    parts = []
    for number, value in fields(packet):
        if number == INTERNED_DATA and isinstance(value, bytes):
            inner = (
                (at, location_with_text(field))
                if at == SOURCE_LOCATIONS and isinstance(field, bytes)
                else (at, field)
                for at, field in fields(value)
            )
            value = b"".join(encoded(at, field) for at, field in inner)
        parts.append(encoded(number, value))
    return b"".join(parts)


def location_with_text(location: bytes) -> bytes:
    """A source location with the text of the function there, if it can be read."""
    found = dict(fields(location))
    file, line = found.get(LOCATION_FILE), found.get(LOCATION_LINE)
    if not isinstance(file, bytes) or not isinstance(line, int):
        return location
    text = source_of(os.fsdecode(file), line)
    return (
        location + encoded(LOCATION_FUNCTION, text.encode(errors="replace")) if text else location
    )


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


# ---- protobuf, as far as locations need it ----


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of the fields of a message made by otrace: numbers and bytes alone."""
    at = 0
    while at < len(message):
        tag, at = varint_at(message, at)
        if tag & 7 == VARINT:
            value, at = varint_at(message, at)
            yield tag >> 3, value
        elif tag & 7 == LENGTH:
            size, at = varint_at(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            size = 8 if tag & 7 == 1 else 4
            yield -tag, message[at : at + size]
            at += size


def varint_at(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def varint(value: int) -> bytes:
    """A number as its bytes."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def encoded(number: int, value: int | bytes) -> bytes:
    """A field; a negative number is the whole tag of one of fixed size."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    if number < 0:
        return varint(-number) + value
    return varint(number << 3 | LENGTH) + varint(len(value)) + value
