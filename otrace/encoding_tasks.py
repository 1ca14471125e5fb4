"""Native encoders of task tracks, for formats that show them beside the threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from otrace.recording._lib import blocks_of, check, ffi, lib

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
    cursor = ffi.gc(out[0], lib.otrace_perfetto_tasks_free)
    yield from blocks_of(lib.otrace_perfetto_tasks_next, cursor, what, block_size)


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
    cursor = ffi.gc(out[0], lib.otrace_chrome_tasks_free)
    yield from blocks_of(lib.otrace_chrome_tasks_next, cursor, what, block_size)
