"""The names of a process: functions, C callables, and the texts of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from otrace.recording._lib import ffi, lib, text

_KINDS = {1: "python", 2: "c", 3: "text"}


@dataclass(frozen=True, slots=True)
class Function:
    """What a name id stands for."""

    id: int
    kind: str
    """`python`, `c`, `text` (of an event, an attribute, an exception's type), or `unknown`."""
    module: str
    qualified: str
    name: str
    """What is shown: the module and the qualified name."""
    file: str
    """Where a Python function is defined, else empty."""
    line: int


class Functions(Sequence[Function]):
    """All names of a process by their id; id 0 and ids that are not known have kind `unknown`."""

    def __init__(self, segment: Any, count: int) -> None:
        self._segment = segment
        self._count = count
        self._known: dict[int, Function] = {}

    def __len__(self) -> int:
        return self._count + 1

    def __iter__(self) -> Iterator[Function]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Function: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Function]: ...

    def __getitem__(self, index: int | slice) -> Function | Sequence[Function]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self._read(index)
        return found

    def _read(self, index: int) -> Function:
        info = ffi.new("struct otrace_name_info *")
        lib.otrace_segment_get_name(self._segment, index, info)
        if info.kind == 0:
            name = f"<unknown {index}>"
            return Function(index, "unknown", "", name, name, "", 0)
        return Function(
            id=index,
            kind=_KINDS.get(info.kind, "unknown"),
            module=text(info.module),
            qualified=text(info.qualified),
            name=text(info.display),
            file=text(info.file),
            line=info.line,
        )
