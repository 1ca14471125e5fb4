"""Native encoders of the program's OpenTelemetry spans, on tracks beside the threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from otrace.recording._lib import blocks_of, check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process

BLOCK_SIZE = 1 << 18


def perfetto_span_blocks(
    process: Process,
    *,
    sequence: int,
    process_uuid: int,
    base_mono_ns: int,
    base_wall_ns: int,
    link: str = "",
    block_size: int = BLOCK_SIZE,
) -> Iterator[memoryview]:
    """The packets of a process's spans; none without spans. Raises RecordingError.

    A block is valid until the next one is asked for. `sequence` is unique in the file; `link` is a
    Jaeger page's address, to which each span gets a link.
    """
    what = f"the spans of process {process.pid}"
    description = ffi.new(
        "struct otrace_perfetto_track *",
        {
            "sequence": sequence,
            "process_uuid": process_uuid,
            "base_mono_ns": base_mono_ns,
            "base_wall_ns": base_wall_ns,
        },
    )
    out = ffi.new("struct otrace_perfetto_spans **")
    status = lib.otrace_perfetto_spans_new(
        process._segment, process._clock, description, link.encode(), out
    )
    check(status, what)
    cursor = ffi.gc(out[0], lib.otrace_perfetto_spans_free)
    yield from blocks_of(lib.otrace_perfetto_spans_next, cursor, what, block_size)


def chrome_span_blocks(
    process: Process, *, pid: int, first_tid: int, link: str = "", block_size: int = BLOCK_SIZE
) -> tuple[int, Iterator[memoryview]]:
    r"""How many threads are invented, and their rows, each followed by `,\n`.

    A block is valid until the next one is asked for. Their numbers begin with `first_tid`; `link`
    is a Jaeger page's address. Raises RecordingError.
    """
    what = f"the spans of process {process.pid}"
    out = ffi.new("struct otrace_chrome_spans **")
    status = lib.otrace_chrome_spans_new(
        process._segment, process._clock, pid, first_tid, link.encode(), out
    )
    check(status, what)
    cursor = ffi.gc(out[0], lib.otrace_chrome_spans_free)
    lanes = int(lib.otrace_chrome_spans_lanes(cursor))
    return lanes, blocks_of(lib.otrace_chrome_spans_next, cursor, what, block_size)
