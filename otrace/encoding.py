"""Native encoders: a track's calls as Chrome Trace JSON rows or Perfetto packets.

Each yields blocks that, one behind the other, are the text. A block is valid until the next one is
asked for: write it, or copy it. Encoding runs without the GIL, and memory does not grow with the
number of calls. Errors are RecordingError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process, Track

BLOCK_SIZE = 1 << 18


def chrome_blocks(
    track: Track, *, pid: int | None = None, tid: int | None = None, block_size: int = BLOCK_SIZE
) -> Iterator[memoryview]:
    r"""The track's rows as JSON, each followed by `,\n`.

    `pid` and `tid` are what the rows say; default: the process's and the thread's OS ids. `ts` is
    µs after the recording's start, plus 1.
    """
    process = track.process
    out = ffi.new("struct otrace_chrome **")
    pid = process.pid if pid is None else pid
    tid = track.os_tid if tid is None else tid
    status = lib.otrace_chrome_new(process._segment, track._index, process._clock, pid, tid, out)
    check(status, _what(track))
    return _blocks(track, out[0], lib.otrace_chrome_next, lib.otrace_chrome_free, block_size)


def perfetto_process(
    process: Process,
    *,
    process_uuid: int,
    sequence: int,
    pid: int | None = None,
    name: str | None = None,
    order: int = 0,
) -> bytes:
    """The packet that describes a process. `process_uuid`: unique in the file, not 0.

    `sequence` may be one that no track uses. `order` sorts processes.
    """
    data = (process.name if name is None else name).encode("utf-8", "backslashreplace")
    block = ffi.new("char[]", 256 + 4 * len(data))
    pid = process.pid if pid is None else pid
    size = lib.otrace_perfetto_process(
        process_uuid, pid, data, len(data), order, sequence, block, len(block)
    )
    check(min(size, 0), f"process {process.pid}")
    return bytes(ffi.buffer(block, size))


def perfetto_blocks(
    track: Track,
    *,
    sequence: int,
    process_uuid: int,
    thread_uuid: int,
    base_mono_ns: int,
    base_wall_ns: int,
    pid: int | None = None,
    tid: int | None = None,
    name: str | None = None,
    order: int = 0,
    block_size: int = BLOCK_SIZE,
) -> Iterator[memoryview]:
    """The track's packets, its description first.

    `sequence` (from 1) and the uuids (not 0) are unique in the file, `tid` in the process;
    `base_*_ns` are the recording's start. `order` sorts the process's tracks.
    """
    process = track.process
    data = (track.name if name is None else name).encode("utf-8", "backslashreplace")
    keep = ffi.from_buffer("char[]", data)
    description = ffi.new(
        "struct otrace_perfetto_track *",
        {
            "sequence": sequence,
            "process_uuid": process_uuid,
            "thread_uuid": thread_uuid,
            "pid": process.pid if pid is None else pid,
            "tid": track.os_tid if tid is None else tid,
            "thread_name": keep,
            "thread_name_size": len(data),
            "base_mono_ns": base_mono_ns,
            "base_wall_ns": base_wall_ns,
            "order": order,
        },
    )
    out = ffi.new("struct otrace_perfetto **")
    status = lib.otrace_perfetto_new(
        process._segment, track._index, process._clock, description, out
    )
    check(status, _what(track))
    return _blocks(track, out[0], lib.otrace_perfetto_next, lib.otrace_perfetto_free, block_size)


def _what(track: Track) -> str:
    return f"track {track.id} of process {track.process.pid}"


def _blocks(
    track: Track, cursor: Any, advance: Any, free: Any, block_size: int
) -> Iterator[memoryview]:
    """Pulls blocks; holds the track, and with it the segment and the clock, while it does."""
    cursor = ffi.gc(cursor, free)  # also when the blocks are never asked for
    memory = bytearray(block_size)
    block = ffi.from_buffer("char[]", memory, require_writable=True)
    written = ffi.new("size_t *")

    def pull() -> Iterator[memoryview]:
        view = memoryview(memory)
        try:
            while True:
                check(advance(cursor, block, block_size, written), _what(track))
                if written[0] == 0:
                    return
                yield view[: written[0]]
        finally:
            ffi.release(cursor)

    return pull()
