"""Protobuf's wire format: every function that writes returns a whole field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from mmap import mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(number: int) -> bytes:
    """A number of 0 to 2**64 - 1."""
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def number_field(field: int, number: int) -> bytes:
    """A varint; negative numbers as two's complement of 64 bits."""
    return varint(field << 3 | VARINT) + varint(number & 0xFFFF_FFFF_FFFF_FFFF)


def fixed64_field(field: int, number: int) -> bytes:
    """8 bytes, little-endian."""
    return varint(field << 3 | FIXED64) + number.to_bytes(8, "little")


def fixed32_field(field: int, number: int) -> bytes:
    """4 bytes, little-endian."""
    return varint(field << 3 | FIXED32) + number.to_bytes(4, "little")


def bytes_field(field: int, data: bytes) -> bytes:
    """Bytes, packed numbers, or a message that is encoded already."""
    return varint(field << 3 | BYTES) + varint(len(data)) + data


def text_field(field: int, text: str) -> bytes:
    """UTF-8; lone surrogates are made visible, since receivers refuse them."""
    return bytes_field(field, text.encode("utf-8", "backslashreplace"))


def read_varint(data: bytes | mmap, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next thing starts. Raises ValueError when it is cut."""
    number = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("a number is cut")


def whole_fields(data: bytes | mmap) -> Iterator[tuple[int, int | bytes, bytes]]:
    """Number and value of each field of a message, and all its bytes: to replace some of them.

    Raises ValueError when the message is broken.
    """
    at = 0
    while at < len(data):
        start = at
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            number, at = read_varint(data, at)
            yield tag >> 3, number, data[start:at]
            continue
        if kind == BYTES:
            size, at = read_varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is not known")
        if at + size > len(data):
            raise ValueError("a field is cut")
        content = data[at : at + size]
        at += size
        yield tag >> 3, content, data[start:at]


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message. Raises ValueError when it is broken."""
    for number, value, _ in whole_fields(data):
        yield number, value


def replaced(data: bytes, field: int, change: Callable[[bytes], bytes]) -> bytes:
    """A message with the content of all its fields `field` of bytes changed.

    Raises ValueError when the message is broken.
    """
    return b"".join(
        bytes_field(field, change(value)) if number == field and isinstance(value, bytes) else whole
        for number, value, whole in whole_fields(data)
    )


def boundary(data: bytes, about: int) -> int:
    """The end of the first of the fields in `data` that ends at or behind `about`.

    All of them are of bytes.
    """
    at = 0
    while at < len(data):
        _, at = read_varint(data, at)
        size, at = read_varint(data, at)
        at += size
        if at >= about:
            return at
    return len(data)
