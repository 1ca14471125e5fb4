"""Spans → requests: ExportTraceServiceRequests of a bounded size, which can be split again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from otrace_exporters.protobuf import boundary, bytes_field, fields, whole_fields

TARGET = 1 << 20  # bytes before compression; receivers take 4 MiB and more


@dataclass(frozen=True)
class Spans:
    """Spans of one process: encoded as ScopeSpans' field `spans`, one behind the other."""

    resource: bytes
    """ResourceSpans' field `resource`."""
    scope: bytes
    """ScopeSpans' field `scope`."""
    data: bytes
    count: int


@dataclass
class Batch:
    """The spans of one request."""

    parts: list[Spans] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many spans."""
        return sum(part.count for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of the spans."""
        return sum(len(part.data) for part in self.parts)

    def encode(self) -> bytes:
        """The request."""
        blocks: list[bytes] = []
        at = 0
        while at < len(self.parts):
            first = self.parts[at]
            data = bytearray(first.scope)
            while at < len(self.parts) and self.parts[at].resource == first.resource:
                data += self.parts[at].data
                at += 1
            blocks.append(bytes_field(1, first.resource + bytes_field(2, bytes(data))))
        return b"".join(blocks)

    def split(self) -> tuple[Batch, Batch] | None:
        """Two batches of about half the size, or None when it is a single span."""
        if self.count < 2:
            return None
        half, before, after = self.size // 2, Batch(), Batch()
        seen = 0
        for part in self.parts:
            if seen >= half and before.parts:
                after.parts.append(part)
            elif seen + len(part.data) <= half:
                before.parts.append(part)
            else:
                first, second = cut(part, half - seen)
                before.parts.append(first)
                if second is not None:
                    after.parts.append(second)
            seen += len(part.data)
        if not after.parts:  # the last span is by far the largest
            return Batch(before.parts[:-1]), Batch(before.parts[-1:])
        return before, after


def cut(part: Spans, about: int) -> tuple[Spans, Spans | None]:
    """The part in two, near `about` bytes, at the end of a span."""
    at = boundary(part.data, about)
    if at == len(part.data) and part.count > 1:  # at least the last span goes to the other side
        ends = list(span_ends(part.data))
        at = ends[-2]
    if at == len(part.data):
        return part, None
    count = sum(1 for _ in fields(part.data[:at]))
    return (
        Spans(part.resource, part.scope, part.data[:at], count),
        Spans(part.resource, part.scope, part.data[at:], part.count - count),
    )


def span_ends(data: bytes) -> Iterator[int]:
    """Where each span ends."""
    at = 0
    for _, _, whole in whole_fields(data):
        at += len(whole)
        yield at


def pack(parts: Iterable[Spans], target: int = TARGET) -> Iterator[Batch]:
    """Batches of at most about twice `target` bytes, in the order of the parts."""
    batch = Batch()
    for part in parts:
        batch.parts.append(part)
        if batch.size >= target:
            yield batch
            batch = Batch()
    if batch.parts:
        yield batch
