"""Protobuf's wire format: numbers, and messages taken apart."""

from __future__ import annotations

import pytest

from otrace_exporters.protobuf import (
    bytes_field,
    fields,
    fixed32_field,
    fixed64_field,
    number_field,
    read_varint,
    text_field,
    varint,
    whole_fields,
)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63, 2**64 - 1])
def test_numbers_are_read_back(number: int) -> None:
    assert read_varint(b"x" + varint(number), 1) == (number, 1 + len(varint(number)))


def test_fields_come_with_all_their_bytes() -> None:
    parts = [
        number_field(1, 300),
        fixed64_field(2, 1 << 63),
        bytes_field(2000, b"\0" * 200),
        text_field(4, ""),
        fixed32_field(5, 7),
    ]
    found = list(whole_fields(b"".join(parts)))
    assert [whole for _, _, whole in found] == parts
    assert [(number, value) for number, value, _ in found] == [
        (1, 300),
        (2, bytes(7) + b"\x80"),
        (2000, b"\0" * 200),
        (4, b""),
        (5, b"\7\0\0\0"),
    ]


@pytest.mark.parametrize("data", [b"\x80", b"\x0a\x05ab", b"\x09abc", b"\x0b", b"\xff" * 11])
def test_broken_messages_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|not known"):
        list(fields(data))
