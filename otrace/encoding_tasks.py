"""Native encoders of task tracks, for formats that show them beside the threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process

BLOCK_SIZE = 1 << 18


def perfetto_task_blocks(
    process: Process,
    *,
    sequence: int,
    process_uuid: int,
    base_mono_ns: int,
    base_wall_ns: int,
    block_size: int = BLOCK_SIZE,
) -> Iterator[memoryview]:
    """The packets of a process's task tracks; none without tasks. Raises RecordingError.

    A block is valid until the next one is asked for. `sequence` is unique in the file.
    """
    what = f"the tasks of process {process.pid}"
    description = ffi.new(
        "struct otrace_perfetto_track *",
        {
            "sequence": sequence,
            "process_uuid": process_uuid,
            "base_mono_ns": base_mono_ns,
            "base_wall_ns": base_wall_ns,
        },
    )
    out = ffi.new("struct otrace_perfetto_tasks **")
    status = lib.otrace_perfetto_tasks_new(process._segment, process._clock, description, out)
    check(status, what)
    yield from _blocks("perfetto", out[0], what, block_size)


def chrome_task_blocks(
    process: Process, *, pid: int, tid: int, block_size: int = BLOCK_SIZE
) -> Iterator[memoryview]:
    r"""The rows of a process's tasks as JSON, each followed by `,\n`. Raises RecordingError.

    A block is valid until the next one is asked for. `pid` and `tid` are what the rows say.
    """
    what = f"the tasks of process {process.pid}"
    out = ffi.new("struct otrace_chrome_tasks **")
    status = lib.otrace_chrome_tasks_new(process._segment, process._clock, pid, tid, out)
    check(status, what)
    yield from _blocks("chrome", out[0], what, block_size)


def _blocks(encoder: str, cursor: Any, what: str, block_size: int) -> Iterator[memoryview]:
    advance = getattr(lib, f"otrace_{encoder}_tasks_next")
    cursor = ffi.gc(cursor, getattr(lib, f"otrace_{encoder}_tasks_free"))
    memory = bytearray(block_size)
    block = ffi.from_buffer("char[]", memory, require_writable=True)
    written = ffi.new("size_t *")
    while True:
        check(advance(cursor, block, len(memory), written), what)
        if written[0] == 0:
            return
        yield memoryview(memory)[: written[0]]
