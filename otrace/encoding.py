"""Native encoders: a track's calls as Chrome Trace JSON rows or Perfetto packets.

Encoding runs without the GIL, and memory does not grow with the number of calls. Errors are
RecordingError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from otrace.recording._lib import blocks_of, check, ffi, lib

if TYPE_CHECKING:
    from array import array

    from otrace.recording import Process, Track

BLOCK_SIZE = 1 << 18
FLOW_SIZE = 128


class Blocks:
    """Iterates over blocks that, one behind the other, are the text.

    A block is valid until the next one is asked for: write it, or copy it.
    """

    def __init__(self, track: Track, encoder: str, cursor: Any, block_size: int) -> None:
        advance = getattr(lib, f"otrace_{encoder}_next")
        self._get_encoded = getattr(lib, f"otrace_{encoder}_encoded")
        self._cursor = ffi.gc(cursor, getattr(lib, f"otrace_{encoder}_free"))
        self._track = track  # holds the segment and the clock
        self._blocks = blocks_of(advance, self._cursor, _what(track), block_size)
        self._encoded = ffi.new("struct otrace_encoded *")

    def __iter__(self) -> Iterator[memoryview]:
        return self

    def __next__(self) -> memoryview:
        return next(self._blocks)

    @property
    def calls(self) -> int:
        """Calls encoded so far, Python and C."""
        self._get_encoded(self._cursor, self._encoded)
        calls: int = self._encoded.calls
        return calls

    @property
    def first_ns(self) -> int | None:
        """When the first call began, after the recording's start. Exact when all is encoded."""
        self._get_encoded(self._cursor, self._encoded)
        return None if self._encoded.first_ns < 0 else int(self._encoded.first_ns)


def chrome_blocks(
    track: Track, *, pid: int | None = None, tid: int | None = None, block_size: int = BLOCK_SIZE
) -> Blocks:
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
    return Blocks(track, "chrome", out[0], block_size)


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


def perfetto_flow(
    flow: int, *, track_uuid: int, mono_ns: int, sequence: int, is_end: bool
) -> bytes:
    """The packet of one end of an arrow, at the slice that is open on a track at that time.

    `flow`: the same for both ends. `sequence`: one that no track uses.
    """
    raw = ffi.new(
        "struct otrace_perfetto_flow *",
        {
            "id": flow,
            "track_uuid": track_uuid,
            "mono_ns": mono_ns,
            "sequence": sequence,
            "is_end": is_end,
        },
    )
    block = ffi.new("char[]", FLOW_SIZE)
    size = lib.otrace_perfetto_flow(raw, block, FLOW_SIZE)
    check(min(size, 0), f"arrow {flow}")
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
) -> Blocks:
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
    return Blocks(track, "perfetto", out[0], block_size)


class SpeedscopeEvents:
    """The track's calls as events of an evented speedscope profile, with commas between them.

    The frame of the function `id` is `frames[id]`, of one that is not known `frames[0]`. `calls`
    and `end_ns`, when the profile ends, are final when the last block was yielded.
    """

    def __init__(self, track: Track, frames: array[int]) -> None:
        out = ffi.new("struct otrace_speedscope **")
        self._frames = ffi.from_buffer("uint32_t[]", frames)  # native code reads it until the end
        process = track.process
        end_ns = track.open_until_ns
        status = lib.otrace_speedscope_new(
            process._segment,
            track._index,
            process._clock,
            self._frames,
            len(self._frames),
            end_ns,
            out,
        )
        check(status, _what(track))
        self._track = track
        self._native = ffi.gc(out[0], lib.otrace_speedscope_free)
        self.calls = 0
        self.end_ns = end_ns

    def blocks(self, block_size: int = BLOCK_SIZE) -> Iterator[memoryview]:
        """The text, block by block; once."""
        yield from blocks_of(
            lib.otrace_speedscope_next, self._native, _what(self._track), block_size
        )
        self.calls = int(lib.otrace_speedscope_calls(self._native))
        self.end_ns = int(lib.otrace_speedscope_end(self._native))


def _what(track: Track) -> str:
    return f"track {track.id} of process {track.process.pid}"
