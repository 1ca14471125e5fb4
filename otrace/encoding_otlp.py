"""Calls as OTLP spans: which ones, and their bytes. The work is native and runs without the GIL.

    plan = SpanPlan(max_spans=4000, max_depth=256, windows=1, tracks=1, ...)
    number = plan.add_track(track, attributes)
    plan.measure(number); plan.select(); plan.collect(number); plan.finish()
    for block in plan.blocks(0, number, trace_id): ...

Memory is bounded by the budget: the spans of all windows, and the stack of one track.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process, Track

__all__ = ["Block", "Part", "Request", "SpanPlan", "tick_at"]


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one track's calls in one window.

    calls = spans + collapsed_calls + left_out, always.
    """

    span_id: bytes
    """8 bytes, for the span of this thread's work, below which the calls are put."""
    calls: int
    spans: int
    collapsed_spans: int
    collapsed_calls: int
    left_out: int
    left_out_here: int
    """Those left out that are directly below the thread's span."""
    marks: int
    """Instants and counters of the thread's own span."""
    marks_dropped: int
    first_ns: int | None
    """After the recording's start; None: nothing happened."""
    last_ns: int | None
    inside: tuple[int, bytes] | None
    """Window and span id of the call that the first call here is in, when both windows differ."""
    escaped: str | None
    """The type of the exception that left the thread; empty when that is not known."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call that is a trace of its own: a window of a plan of requests."""

    trace_id: bytes
    span_id: bytes
    """Of the call, the root of the trace."""
    start_tick: int
    start_ns: int
    end_ns: int | None
    """None: it goes on."""
    left: bool
    """It is for a later plan: this one has no spans of it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Spans as ScopeSpans' field `spans`."""

    data: bytes
    spans: int


class SpanPlan:
    """Chooses the calls of a recording that become spans, and encodes them.

    Windows are traces: a call belongs to the one that it starts in. Raises MemoryError, and
    RecordingError when a segment cannot be read any more.
    """

    def __init__(
        self,
        *,
        max_spans: int,
        max_depth: int,
        windows: int,
        window_ns: int,
        tracks: int,
        base_wall_ns: int,
        salt: int,
        requests_salt: int = 0,
        of_requests: bool = False,
    ) -> None:
        """`salt` is another one for each plan, `requests_salt` the same in all of an export.

        A plan `of_requests` has one track, and its windows are requests, found by `measure`; in
        other plans a request is a single span that is linked to its trace.
        """
        options = ffi.new("struct otrace_otlp_options *")
        options.max_spans = max_spans
        options.max_depth = max_depth
        options.windows = windows
        options.window_ns = window_ns
        options.tracks = tracks
        options.base_wall_ns = base_wall_ns
        options.salt = salt
        options.requests_salt = requests_salt
        options.requests = of_requests
        out = ffi.new("struct otrace_otlp **")
        check(lib.otrace_otlp_new(options, out), "the recording for spans")
        self._plan = ffi.gc(out[0], lib.otrace_otlp_free)
        self._tracks: list[Track] = []  # their segments must outlive the plan

    def add_track(self, track: Track, open_end_ns: int, attributes: bytes) -> int:
        """Add a track; returns its number.

        Calls that never ended end at `open_end_ns`. All spans carry `attributes` (encoded).
        """
        self._tracks.append(track)
        process = track.process
        status = lib.otrace_otlp_add_track(
            self._plan,
            process._segment,
            track._index,
            process._clock,
            open_end_ns,
            attributes,
            len(attributes),
        )
        check(status, self._name(-1))
        return len(self._tracks) - 1

    def set_requests(self, number: int, kinds: bytes, identity: int) -> None:
        """Say which functions are requests: by name id the kind of their spans, or 0.

        `identity` is the track's own in the recording.
        """
        status = lib.otrace_otlp_set_requests(self._plan, number, kinds, len(kinds), identity)
        check(status, self._name(number))

    def set_range(
        self, number: int, from_tick: int, until_tick: int = 0, *, leave_open: bool = True
    ) -> None:
        """Take a part of the track, in ticks; `until_tick` 0 is to its end.

        Calls that began before are in no span, those that go on behind it end at `open_end_ns`.
        Requests that go on are left for a later plan, if `leave_open`, until their time is over.
        """
        given = ffi.new("struct otrace_otlp_range *")
        given.from_tick, given.until_tick, given.open = from_tick, until_tick, not leave_open
        check(lib.otrace_otlp_set_range(self._plan, number, given), self._name(number))

    def set_sent(self, number: int, start_ticks: Iterable[int]) -> None:
        """Name requests of the range that an earlier plan has given."""
        ticks = sorted(start_ticks)
        status = lib.otrace_otlp_set_sent(
            self._plan, number, ffi.new("uint64_t[]", ticks), len(ticks)
        )
        check(status, self._name(number))

    def measure(self, number: int) -> None:
        """First pass over a track: find the calls that are worth a span."""
        check(lib.otrace_otlp_measure(self._plan, number), self._name(number))

    def select(self) -> None:
        """Choose, when all tracks are measured."""
        check(lib.otrace_otlp_select(self._plan), "the recording for spans")

    def collect(self, number: int) -> None:
        """Second pass over a track: gather the chosen calls, and count the others."""
        check(lib.otrace_otlp_collect(self._plan, number), self._name(number))

    def finish(self) -> None:
        """Close the plan, when all tracks are collected."""
        check(lib.otrace_otlp_finish(self._plan), "the recording for spans")

    def part(self, window: int, number: int) -> Part:
        """What became of a track's calls in a window."""
        raw = ffi.new("struct otrace_otlp_part *")
        lib.otrace_otlp_get_part(self._plan, window, number, raw)
        escaped: str | None = None
        if raw.escaped:
            functions = self._tracks[number].process.functions
            escaped = functions[raw.exception].name if raw.exception else ""
        return Part(
            span_id=_id_bytes(raw.span_id),
            calls=raw.calls,
            spans=raw.spans,
            collapsed_spans=raw.collapsed_spans,
            collapsed_calls=raw.collapsed_calls,
            left_out=raw.left_out,
            left_out_here=raw.left_out_here,
            marks=raw.marks,
            marks_dropped=raw.marks_dropped,
            first_ns=None if raw.first_ns < 0 else raw.first_ns,
            last_ns=None if raw.last_ns < 0 else raw.last_ns,
            inside=(raw.inside_window, _id_bytes(raw.inside)) if raw.inside else None,
            escaped=escaped,
        )

    def requests(self) -> list[Request]:
        """The requests of a plan of requests, by window, when it is measured."""
        raw = ffi.new("struct otrace_otlp_request_info *")
        found = []
        for window in range(lib.otrace_otlp_count_requests(self._plan)):
            lib.otrace_otlp_get_request(self._plan, window, raw)
            found.append(
                Request(
                    bytes(ffi.buffer(raw.trace_id)),
                    _id_bytes(raw.span_id),
                    raw.start_tick,
                    raw.start_ns,
                    None if raw.end_ns < 0 else raw.end_ns,
                    bool(raw.left),
                )
            )
        return found

    def next(self) -> tuple[int, bool]:
        """Where the track's next plan of requests goes on, and whether that can be at once.

        Requests that were left are not thought of.
        """
        tick = ffi.new("uint64_t *")
        more = lib.otrace_otlp_next(self._plan, tick)
        return tick[0], bool(more)

    def set_root(self, fields: bytes) -> None:
        """Give the roots of requests that are encoded from here on more (encoded) fields."""
        check(lib.otrace_otlp_set_root(self._plan, fields, len(fields)), "the recording for spans")

    def own_id(self, window: int, number: int) -> bytes:
        """An id for a span that is not a call's: the same for the same numbers."""
        return _id_bytes(lib.otrace_otlp_own_id(self._plan, window, number))

    def find(self, window: int, number: int, start_ns: int, end_ns: int) -> bytes | None:
        """The id of the innermost call's span that holds the whole time, if there is one."""
        found = ffi.new("uint64_t *")
        if lib.otrace_otlp_find(self._plan, window, number, start_ns, end_ns, found):
            return _id_bytes(found[0])
        return None

    def blocks(
        self, window: int, number: int, trace_id: bytes, state: bytes = b"", target: int = 1 << 20
    ) -> Iterator[Block]:
        """The spans of a track in a window, about `target` bytes a block. trace_id: 16 bytes."""
        position = ffi.new("uint64_t *")
        raw = ffi.new("struct otrace_otlp_block *")
        while True:
            status = lib.otrace_otlp_encode(
                self._plan, window, number, trace_id, state, len(state), target, position, raw
            )
            check(status, self._name(number))
            if raw.size == 0:
                return
            yield Block(_copy(raw), raw.spans)

    def marks(self, window: int, number: int) -> bytes:
        """Instants and counters of the thread's own span, as Span's field `events`."""
        raw = ffi.new("struct otrace_otlp_block *")
        check(lib.otrace_otlp_encode_marks(self._plan, window, number, raw), self._name(number))
        return _copy(raw)

    def _name(self, number: int) -> str:
        track = self._tracks[number]
        return f"track {track.id} of process {track.process.pid}"


def tick_at(process: Process, ns: int) -> int:
    """The tick of a time in the process's recording, for `SpanPlan.set_range`."""
    return int(lib.otrace_otlp_tick(process._clock, ns))


def _copy(block: Any) -> bytes:
    return bytes(ffi.buffer(block.bytes, block.size)) if block.size else b""


def _id_bytes(number: int) -> bytes:
    return int(number).to_bytes(8, "little")  # as the native side writes it
