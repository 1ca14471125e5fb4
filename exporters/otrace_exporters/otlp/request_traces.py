"""Requests as traces: each is the outermost call of a function that handles one, with its calls."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otrace.encoding_otlp import SpanPlan
from otrace_exporters.otlp import facts
from otrace_exporters.otlp.batches import Spans
from otrace_exporters.otlp.facts import Totals
from otrace_exporters.otlp.selection import Budget, Salts, add_track, encode
from otrace_exporters.otlp.spans import Trace, encode_link

if TYPE_CHECKING:
    from otrace.recording import Track

AT_ONCE = 256  # requests of a plan; it ends earlier when they are large


@dataclass
class Place:
    """Where the reading of a track that grows goes on."""

    from_tick: int = 0
    """All requests that began before were given, but those that were left."""
    left: set[int] = field(default_factory=set)
    """Start ticks of requests that went on."""
    sent: set[int] = field(default_factory=set)
    """Start ticks of others that began after the first of those."""


@dataclass(frozen=True)
class RequestSource:
    """A track that may hold requests."""

    track: Track
    kinds: bytes
    """By name id the kind of a request's span, or 0."""
    end_ns: int
    """When calls end that never ended."""
    base_wall_ns: int


def plans(
    source: RequestSource, budget: Budget, salts: Salts, place: Place, *, leave_open: bool
) -> Iterator[SpanPlan]:
    """The requests that are new since the last time, some at a time; `place` moves on with each.

    `leave_open`: those that go on are left for another time. Raises RecordingError.
    """
    from_tick = min(place.left, default=place.from_tick)
    left: set[int] = set()
    more = True
    while more:
        plan = SpanPlan(
            max_spans=budget.max_spans,
            max_depth=budget.max_depth,
            windows=AT_ONCE,
            window_ns=budget.window_ns,
            tracks=1,
            base_wall_ns=source.base_wall_ns,
            salt=secrets.randbits(64),
            requests_salt=salts.requests,
            of_requests=True,
        )
        number = add_track(plan, source.track, source.end_ns, source.kinds)
        plan.set_range(number, from_tick, leave_open=leave_open)
        plan.set_sent(number, place.sent)
        plan.measure(number)
        plan.select()
        plan.collect(number)
        plan.finish()
        from_tick, more = plan.next()
        for request in plan.requests():
            (left if request.left else place.sent).add(request.start_tick)
        place.left = {tick for tick in place.left if tick >= from_tick} | left
        place.from_tick = max(place.from_tick, from_tick)
        oldest = min(place.left, default=from_tick)
        place.sent = {tick for tick in place.sent if tick >= oldest}
        yield plan


def spans_of(
    plan: SpanPlan, header: tuple[bytes, bytes], run: tuple[Trace, bytes]
) -> Iterator[tuple[Trace, Totals, list[Spans]]]:
    """The traces of a plan of requests, each linked to a span of the run's."""
    for window, request in enumerate(plan.requests()):
        if request.left:
            continue
        trace = Trace(request.trace_id)
        totals = facts.totals_of([plan.part(window, 0)])
        plan.set_root(encode_link(*run) + encode(facts.totals_attributes(totals)))
        yield (
            trace,
            totals,
            [Spans(*header, block.data, block.spans) for block in plan.blocks(window, 0, trace.id)],
        )
