"""Spans of the calls of one trace of a service, out of a segment that goes on.

As `otrace.encoding_otlp`, with a plan that is limited to the calls made while one of the given
spans of the program's own was current.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otrace.encoding_otlp import SpanPlan
from otrace.recording import Track
from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process

__all__ = ["CapturePlan", "tracks_in"]

TRACKS_MAX = 4096
FOREVER_NS = 1 << 62


def tracks_in(process: Process, start_ns: int, end_ns: int) -> list[Track]:
    """The tracks with records of that time (after the recording's start)."""
    indices = ffi.new("uint32_t[]", TRACKS_MAX)
    count = lib.otrace_capture_tracks(
        process._segment, process._clock, start_ns, end_ns, indices, TRACKS_MAX
    )
    return [Track(process, indices[at]) for at in range(count)]


class CapturePlan(SpanPlan):
    """Chooses and encodes the calls that began in a time, while one of some spans was current.

    `spans` are ids and parents' ids (or 0), as the SDK shows them, and starts on CLOCK_MONOTONIC;
    other times are after the recording's start. Raises what SpanPlan raises.
    """

    def __init__(
        self,
        spans: Sequence[tuple[int, int, int]],
        *,
        start_ns: int,
        end_ns: int,
        base_mono_ns: int,
        base_wall_ns: int,
        max_spans: int,
        max_depth: int,
        tracks: int,
        salt: int,
    ) -> None:
        super().__init__(
            max_spans=max_spans,
            max_depth=max_depth,
            windows=1,
            window_ns=FOREVER_NS,
            tracks=tracks,
            base_wall_ns=base_wall_ns,
            salt=salt,
        )
        raw = ffi.new("struct otrace_capture_span[]", len(spans))
        for at, (span_id, parent_id, begin_ns) in enumerate(spans):
            raw[at].id = span_id
            raw[at].parent_id = parent_id
            raw[at].start_ns = begin_ns - base_mono_ns
        status = lib.otrace_capture_limit(self._plan, raw, len(spans), start_ns, end_ns)
        check(status, "the recording for spans")
        self._spans = spans

    def openers(self) -> dict[int, int]:
        """Span → id of the call's span that opened it, both as the SDK shows ids."""
        track = ffi.new("uint32_t *")
        found: dict[int, int] = {}
        for at, (span_id, _, _) in enumerate(self._spans):
            opener = int(lib.otrace_capture_opener(self._plan, at, track))
            if opener:
                found[span_id] = int.from_bytes(opener.to_bytes(8, "little"), "big")
        return found
