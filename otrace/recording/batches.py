"""Calls as columns, and what goes beside them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Literal

from otrace.recording._lib import check, decode, ffi, lib

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from otrace.recording.functions import Functions
    from otrace.recording.process import Track

BATCH_ROWS = 1 << 16
_LIST_DEPTH = 8

# Name, memoryview format, bytes: the 8-byte columns first, so that all are aligned.
_COLUMNS: tuple[tuple[str, Literal["q", "Q", "I"], int], ...] = (
    ("start_ns", "q", 8),
    ("duration_ns", "q", 8),
    ("index", "Q", 8),
    ("parent", "q", 8),
    ("function", "I", 4),
    ("depth", "I", 4),
    ("flags", "I", 4),
    ("exception", "I", 4),
    ("activation", "I", 4),
    ("task", "I", 4),
)
_C_TYPES = {"q": "int64_t[]", "Q": "uint64_t[]", "I": "uint32_t[]"}

# enum otrace_value_type of native/format.h
_FALSE, _TRUE, _INT, _FLOAT, _TEXT, _BIGINT, _REPR, _LIST = range(1, 9)
_CUT = 0x80


class CallFlag(IntFlag):
    """How a call began and ended: the bits of `CallBatch.flags`."""

    RESUMED = lib.OTRACE_CALL_RESUMED
    """Began by resuming a generator or coroutine."""
    YIELDED = lib.OTRACE_CALL_YIELDED
    """Ended by yield or await."""
    UNWOUND = lib.OTRACE_CALL_UNWOUND
    """Left by an exception; of a C call: raised one."""
    THROWN = lib.OTRACE_CALL_THROWN
    """Resumed by throw()."""
    CUT = lib.OTRACE_CALL_CUT
    """Its beginning was overwritten, or lies before the recording."""
    OPEN = lib.OTRACE_CALL_OPEN
    """Had not ended when the recording did; its duration is -1."""
    INFERRED = lib.OTRACE_CALL_INFERRED
    """Its end was not recorded: the reader put it."""
    C = lib.OTRACE_CALL_C
    """A C callable."""
    EVENT = lib.OTRACE_CALL_EVENT
    """An event of the program, not a function."""
    DETACHED = lib.OTRACE_CALL_DETACHED
    """An event that does not nest in its thread's calls."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant, a counter, or the attributes of an event."""

    kind: str
    """`instant`, `counter` or `event`."""
    name: str
    time_ns: int
    """Of an event: its start."""
    attributes: Mapping[str, object]
    """Values as recorded: None, bool, int, float, str, lists of those; a repr of other objects."""
    row: int | None = None
    """Events: the row of the batch."""
    instance: int | None = None
    """Events: unique in the process."""
    scope: str | None = None
    """Instants: `thread`, `process` or `global`."""
    parent: int = -1
    """Instants and counters: the index of the call around it, -1: none."""
    task: int = 0
    """The id of the task that the thread ran, 0: none."""


@dataclass(slots=True)
class CallBatch:
    """Completed calls of one track, one a row, in the order of their ends; open ones last.

    Columns are memoryviews of integers, all `len(batch)` long, valid as long as the batch.
    """

    start_ns: memoryview
    duration_ns: memoryview
    """-1: open at the end."""
    index: memoryview
    """Ordinal of the call's beginning in its track, whatever the batch: an order before parents'
    children. Calls left out for `min_duration` leave gaps."""
    parent: memoryview
    """The index of the call around it (it may be a left-out one of an event), -1: none."""
    function: memoryview
    """Name id: `process.functions[id]`."""
    depth: memoryview
    """How many calls are around it."""
    flags: memoryview
    """CallFlag bits."""
    exception: memoryview
    """Name id of the type of the exception that left it, 0: none."""
    activation: memoryview
    """Which call of a coroutine function or asynchronous generator this is a slice of: unique in
    the process, 0: none."""
    task: memoryview
    """The id of the task that the thread ran (`process.tasks`), 0: none."""
    _raw_marks: tuple[bytes, bytes] = field(kw_only=True, repr=False)
    _functions: Functions = field(kw_only=True, repr=False)
    _marks: list[Mark] | None = field(kw_only=True, repr=False, default=None)

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def marks(self) -> list[Mark]:
        """Instants, counters and the attributes of events in this batch; built when first asked."""
        if self._marks is None:
            self._marks = list(_read_marks(*self._raw_marks, self._functions))
        return self._marks


def read_batches(track: Track, rows: int, functions: Collection[int] | None) -> Iterator[CallBatch]:
    """The calls of a track, in batches of at most `rows`; only of `functions` unless None."""
    process = track.process
    out = ffi.new("struct otrace_batches **")
    what = f"track {track.id} of process {process.pid}"
    check(lib.otrace_batches_new(process._segment, track._index, process._clock, out), what)
    raw = ffi.new("struct otrace_batch *")
    try:
        if functions is not None:
            check(lib.otrace_batches_keep(out[0], list(functions), len(functions)), what)
        while True:
            columns, views = _new_columns(rows)
            check(lib.otrace_batches_next(out[0], columns, raw), what)
            if raw.rows == 0 and raw.marks_count == 0:
                return
            marks = _copy(raw.marks, raw.marks_count * ffi.sizeof("struct otrace_mark"))
            payload = _copy(raw.payload, raw.payload_words * 4)
            yield CallBatch(
                *(view[: raw.rows] for view in views),
                _raw_marks=(marks, payload),
                _functions=process.functions,
            )
    finally:
        lib.otrace_batches_free(out[0])


def _copy(pointer: Any, size: int) -> bytes:
    return b"" if size == 0 else bytes(ffi.buffer(pointer, size))


def _new_columns(rows: int) -> tuple[Any, list[memoryview]]:
    memory = memoryview(bytearray(rows * sum(size for _, _, size in _COLUMNS)))
    columns = ffi.new("struct otrace_columns *")
    columns.capacity = rows
    views: list[memoryview] = []
    at = 0
    for name, form, size in _COLUMNS:
        part = memory[at : at + rows * size]
        setattr(columns, name, ffi.from_buffer(_C_TYPES[form], part))
        views.append(part.cast(form))
        at += rows * size
    return columns, views


def _read_marks(marks: bytes, payload: bytes, functions: Functions) -> Iterator[Mark]:
    scopes = {0: "thread", 1: "process", 2: "global"}
    raw = ffi.from_buffer("struct otrace_mark[]", marks) if marks else []
    begun: tuple[Any, dict[str, object]] | None = None
    for mark in raw:
        words = payload[mark.offset * 4 : (mark.offset + mark.words) * 4]
        attributes = dict(_read_attributes(words, functions))
        if begun is not None and mark.kind == lib.OTRACE_MARK_EVENT_END:
            begun[1].update(attributes)
            continue
        if begun is not None:
            yield _event_mark(*begun, functions)
            begun = None
        if mark.kind == lib.OTRACE_MARK_EVENT_BEGIN:
            begun = (mark, attributes)
            continue
        instant = mark.kind == lib.OTRACE_MARK_INSTANT
        yield Mark(
            kind="instant" if instant else "counter",
            name=functions[mark.name].name,
            time_ns=mark.time_ns,
            attributes=attributes,
            scope=scopes.get(mark.scope, "thread") if instant else None,
            parent=mark.parent,
            task=mark.task,
        )
    if begun is not None:
        yield _event_mark(*begun, functions)


def _event_mark(mark: Any, attributes: dict[str, object], functions: Functions) -> Mark:
    return Mark(
        kind="event",
        name=functions[mark.name].name,
        time_ns=mark.time_ns,
        attributes=attributes,
        row=mark.row,
        instance=mark.instance,
        parent=mark.parent,
        task=mark.task,
    )


def _read_attributes(words: bytes, functions: Functions) -> Iterator[tuple[str, object]]:
    at = 0
    while at + 8 <= len(words):
        key = int.from_bytes(words[at : at + 4], "little")
        value, at = _read_value(words, at + 4, 0)
        if at > len(words):
            return  # it does not make sense any more
        yield functions[key].name, value


def _read_value(words: bytes, at: int, depth: int) -> tuple[object, int]:
    """A value and where the next one starts; behind the end when there is no whole value."""
    word = int.from_bytes(words[at : at + 4], "little")
    size, kind = word >> 8, word & 0xFF & ~_CUT
    data = words[at + 4 : at + 4 + size]
    behind = at + 4 + (size + 3 & ~3)
    if behind > len(words) or (kind in (_INT, _FLOAT) and size != 8):
        return None, len(words) + 1
    if kind == _LIST:
        return _read_list(data, depth), behind
    return _read_simple(kind, data, cut=bool(word & _CUT)), behind


def _read_list(data: bytes, depth: int) -> list[object]:
    items: list[object] = []
    at = 0
    while at + 4 <= len(data) and depth < _LIST_DEPTH:
        item, at = _read_value(data, at, depth + 1)
        if at > len(data):
            break
        items.append(item)
    return items


def _read_simple(kind: int, data: bytes, *, cut: bool) -> object:
    if kind in (_TEXT, _REPR):
        return decode(data) + ("…" if cut else "")
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE
    if kind == _INT:
        return int.from_bytes(data, "little", signed=True)
    if kind == _FLOAT:
        number: float = struct.unpack("<d", data)[0]
        return number
    if kind == _BIGINT:
        digits = decode(data)
        try:
            return int(digits)
        except ValueError:  # cut, or longer than int() takes
            return digits
    return None
