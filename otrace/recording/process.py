"""The processes and tracks of a recording."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from otrace.recording._lib import blocks_of, check, ffi, lib, text
from otrace.recording.batches import BATCH_ROWS, CallBatch, read_batches
from otrace.recording.functions import Functions
from otrace.recording.switched_off import SwitchedOff, read_switched_off
from otrace.recording.tasks import Tasks

DUMP_BLOCK = 1 << 16
_STATES = {1: "recording", 2: "ended"}
_CLOCKS = {1: "monotonic", 2: "tsc", 3: "cntvct"}
_WARNINGS = (
    (lib.OTRACE_WARN_CUT, "the file is cut: its last chunks are missing"),
    (lib.OTRACE_WARN_METADATA, "some names and threads are unreadable"),
    (lib.OTRACE_WARN_IDS, "names or threads with impossible ids were left out"),
    (lib.OTRACE_WARN_CHUNKS, "chunks with damaged headers were left out"),
    (lib.OTRACE_WARN_NO_THREAD, "there are calls of threads that the file does not name"),
    (lib.OTRACE_WARN_TAKEN_OVER, "chunks were overwritten while they were read"),
    (lib.OTRACE_WARN_RECORDS, "some records are unreadable: the rest of their chunks is missing"),
    (lib.OTRACE_WARN_UNREADABLE, "the file could not be read everywhere"),
)


@dataclass(frozen=True, slots=True)
class Loss:
    """What the full buffer overwrote of one track, and the time that it covers."""

    calls: int
    """Calls that ended in what was overwritten."""
    records: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Losses:
    """What a process recorded and the segment does not hold (any more)."""

    calls: int
    records: int
    chunks: int
    """Overwritten, since the buffer was full."""
    dropped_no_space: int
    """Records that were not written: no free chunk, or the file system full."""
    dropped_too_big: int
    """Events whose attributes did not fit."""
    dropped_names: int
    """Names that found no room."""


@dataclass(frozen=True, slots=True)
class SegmentSizes:
    """Sizes of a segment, in bytes and chunks."""

    file_size: int
    bytes_used: int
    chunk_size: int
    chunk_count: int
    chunks_readable: int


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """Totals of a track. Calls are those that are shown, open and cut ones included."""

    calls_python: int
    calls_c: int
    events: int
    calls_open: int
    calls_cut: int
    calls_inferred: int
    calls_short: int
    """Left out for `min_duration`."""
    instants: int
    counters: int
    ends_without_begin: int
    record_bytes: int
    """Of the buffer: chunk headers and records."""
    gaps: int
    taken_over: int
    max_depth: int
    first_ns: int | None
    last_ns: int | None

    @property
    def calls(self) -> int:
        """Python and C calls."""
        return self.calls_python + self.calls_c


class Track:
    """One thread of a process. Threads that reuse an OS id are tracks of their own."""

    def __init__(self, process: Process, index: int) -> None:
        raw = ffi.new("struct otrace_track_info *")
        check(lib.otrace_segment_get_track(process._segment, index, raw), "a track")
        self.process = process
        self._index = index
        self.id: int = raw.thread_id
        """Unique in the process."""
        self.os_tid: int = raw.os_tid
        self.name = text(raw.name) or f"thread {raw.os_tid or raw.thread_id}"
        self.start_ns = process._to_ns(raw.start_tick) if raw.start_tick else process.start_ns
        self.end_ns = process._to_ns(raw.end_tick) if raw.end_tick else None
        self.dropped_records: int = raw.dropped_records
        self.missing_chunks: int = raw.missing_chunks
        self.loss: Loss | None = None
        if raw.lost_calls or raw.lost_records:
            self.loss = Loss(
                calls=raw.lost_calls,
                records=raw.lost_records,
                start_ns=process._to_ns(raw.lost_first_tick),
                end_ns=process._to_ns(raw.lost_last_tick),
            )

    def __repr__(self) -> str:
        return f"<Track {self.id} {self.name!r} of process {self.process.pid}>"

    @property
    def open_until_ns(self) -> int:
        """Until when its calls were open that never ended: its own end, or its process's."""
        return self.process.open_until_ns if self.end_ns is None else self.end_ns

    def batches(
        self, rows: int = BATCH_ROWS, *, functions: Collection[int] | None = None
    ) -> Iterator[CallBatch]:
        """The track's calls in the order of their ends, at most `rows` a batch.

        Calls that had not ended come last, outermost first. With `functions` (their ids) calls of
        those alone, and no marks. Memory does not grow with their number. Raises RecordingError.
        """
        return read_batches(self, rows, functions)

    def summary(self) -> TrackSummary:
        """Totals, by one pass over the track. Raises RecordingError."""
        return self._summary

    @cached_property
    def _summary(self) -> TrackSummary:
        raw = ffi.new("struct otrace_track_summary *")
        process = self.process
        status = lib.otrace_track_summarize(process._segment, self._index, process._clock, raw)
        check(status, f"track {self.id} of process {process.pid}")
        numbers = {name: getattr(raw, name) for name in TrackSummary.__dataclass_fields__}
        if raw.first_ns < 0:
            numbers["first_ns"] = numbers["last_ns"] = None
        return TrackSummary(**numbers)


class Process:
    """One process image of a recording: a process that called exec is two."""

    def __init__(self, segment: Any, path: str) -> None:
        self.path = path
        self._segment = segment
        self._clock: Any = None  # the recording sets it, before anything that needs it
        raw = ffi.new("struct otrace_segment_info *")
        lib.otrace_segment_get_info(segment, raw)
        self.pid: int = raw.pid
        self.parent_pid: int = raw.parent_pid
        self.name = text(raw.process_name) or f"process {raw.pid}"
        self.python_version = _version(raw.python_version)
        self.state = _STATES.get(raw.state, "unknown")
        """`ended`, or `recording`: it still runs, or was killed."""
        self.stop_errno: int = raw.stop_errno
        """Why its recording ended early, 0 if it did not."""
        self.clock = _CLOCKS[raw.clock_kind]
        self.min_duration_ns: int = raw.min_duration_ns
        self.max_depth: int = raw.max_depth
        self.start_mono_ns: int = raw.start_mono_ns
        self.start_wall_ns: int = raw.start_wall_ns
        self.end_mono_ns: int | None = raw.end_mono_ns or None
        self.start_ns = 0
        self.end_ns: int | None = None
        self.functions = Functions(segment, raw.names)
        self.losses = Losses(
            calls=raw.lost_calls,
            records=raw.lost_records,
            chunks=raw.lost_chunks,
            dropped_no_space=raw.dropped_no_space,
            dropped_too_big=raw.dropped_too_big,
            dropped_names=raw.dropped_names,
        )
        self.sizes = SegmentSizes(
            file_size=raw.file_size,
            bytes_used=raw.bytes_used,
            chunk_size=raw.chunk_size,
            chunk_count=raw.chunk_count,
            chunks_readable=raw.chunks_readable,
        )
        self.notes: Mapping[str, str] = dict(self._read_notes(raw.notes))

    def __repr__(self) -> str:
        return f"<Process {self.pid} {self.name!r}, {self.state}>"

    @cached_property
    def tracks(self) -> list[Track]:
        """The threads, in the order of their start. Threads without records are among them."""
        raw = self._info()
        tracks = [Track(self, index) for index in range(raw.tracks)]
        return sorted(tracks, key=lambda track: (track.start_ns, track.id))

    @cached_property
    def switched_off(self) -> list[SwitchedOff]:
        """Functions that were switched off for some time to bound the overhead."""
        return list(read_switched_off(self, self._info().off))

    @cached_property
    def tasks(self) -> Tasks:
        """Tasks of asyncio and trio, and the calls of coroutines; by one pass over all tracks.

        Raises RecordingError.
        """
        return Tasks(self)

    @cached_property
    def open_until_ns(self) -> int:
        """Its end; else (killed, or it still runs) the last moment that anything was recorded."""
        if self.end_ns is not None:
            return self.end_ns
        lasts = (track.summary().last_ns for track in self.tracks)
        return max((last for last in lasts if last is not None), default=self.start_ns)

    @property
    def warnings(self) -> list[str]:
        """What is missing or odd, found so far: reading the tracks may add to it."""
        bits = self._info().warnings
        return [words for bit, words in _WARNINGS if bits & bit]

    def dump(self) -> Iterator[bytes]:
        """The raw records as UTF-8 text, one a line, in blocks. Raises RecordingError.

        A line: chunk sequence, thread id, offset, kind, id, time, name; lines with # tell of
        chunks.
        """
        out = ffi.new("struct otrace_dump **")
        check(lib.otrace_dump_new(self._segment, out), self.path)
        cursor = ffi.gc(out[0], lib.otrace_dump_free)
        for block in blocks_of(lib.otrace_dump_next, cursor, self.path, DUMP_BLOCK):
            yield bytes(block)

    def _info(self) -> Any:
        raw = ffi.new("struct otrace_segment_info *")
        lib.otrace_segment_get_info(self._segment, raw)
        return raw

    def _to_ns(self, tick: int) -> int:
        ns: int = lib.otrace_clock_convert(self._clock, tick)
        return ns

    def _read_notes(self, count: int) -> Iterator[tuple[str, str]]:
        key, value = ffi.new("struct otrace_text *"), ffi.new("struct otrace_text *")
        for index in range(count):
            lib.otrace_segment_get_note(self._segment, index, key, value)
            yield text(key), text(value)


def _version(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}"
