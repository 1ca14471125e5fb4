"""A local trace while it runs: the spans of this process below one that came from outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

SPANS_MAX = 4096  # noted of one local trace; calls below others find no place


class LocalRoot:
    """A local trace. `held` spans wait for its end, when the processor has someone behind it."""

    __slots__ = ("held", "holds", "raised", "span_id", "spans", "start_ns", "trace_id")

    def __init__(self, span_id: int, trace_id: int, *, holds: bool) -> None:
        self.span_id = span_id
        self.trace_id = trace_id
        self.start_ns = time.monotonic_ns()
        self.spans: list[tuple[int, int, int]] = []
        """Span id, parent id (0 for the root), start on CLOCK_MONOTONIC."""
        self.held: list[ReadableSpan] = []
        self.holds = holds
        """False: its spans go on as they end."""
        self.raised = False
        """It is kept although it was not sampled: its spans go on as sampled ones."""

    def note(self, span_id: int, parent_id: int) -> None:
        """A span of it starts."""
        if len(self.spans) < SPANS_MAX:
            self.spans.append((span_id, parent_id, time.monotonic_ns()))

    def let_go(self) -> list[ReadableSpan]:
        """What it holds; from now on it holds nothing."""
        self.holds = False
        held, self.held = self.held, []
        return held
