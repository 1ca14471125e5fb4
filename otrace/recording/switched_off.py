"""Functions that the overhead governor switched off for some time: their calls are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording.functions import Function
    from otrace.recording.process import Process


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """A function that was switched off because its calls cost too much."""

    function: Function
    calls: int
    """Its calls that were recorded, before and between. After a kill the latest may be missing."""
    times: int
    """How often it was switched off."""
    off_ns: int
    """How long in all, without a period that had not ended."""
    since_ns: int
    """When it was switched off, the last time."""
    until_ns: int | None
    """When it came back after that; None: it did not."""

    def missing_ns(self, until_ns: int) -> int:
        """How long its calls are missing in all, up to `until_ns`."""
        going_on = max(0, until_ns - self.since_ns) if self.until_ns is None else 0
        return self.off_ns + going_on

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether calls may be missing in that time; of several periods the last is known."""
        earlier = self.times > 1 and start_ns < self.since_ns
        last = self.since_ns < end_ns and (self.until_ns is None or self.until_ns > start_ns)
        return earlier or last


def read_switched_off(process: Process, count: int) -> Iterator[SwitchedOff]:
    """Those of a process, in the order in which they were switched off first."""
    raw = ffi.new("struct otrace_off_info *")
    for index in range(count):
        check(lib.otrace_segment_get_off(process._segment, index, raw), process.path)
        since_ns = process._to_ns(raw.off_tick)
        yield SwitchedOff(
            function=process.functions[raw.function],
            calls=raw.calls,
            times=raw.times,
            off_ns=process._to_ns(raw.off_tick + raw.off_ticks) - since_ns,
            since_ns=since_ns,
            until_ns=process._to_ns(raw.on_tick) if raw.on_tick >= raw.off_tick else None,
        )
