"""The span processor: notes where spans start and end, keeps the traces that are worth it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from otrace import config
from otrace._events import note_span
from otrace.errors import ConfigError, OtraceError
from otrace.otel import current, exits, metrics, ring
from otrace.otel import stats as counters
from otrace.otel.capture import Limits, read
from otrace.otel.outbox import Outbox, Parcel
from otrace.otel.readable import as_sampled, changed
from otrace.otel.roots import LocalRoot
from otrace.otel.topmost import with_attributes
from otrace.otel.triggers import RateLimit, slow_rule
from otrace.otel.ways import way_for
from otrace.otel.worker import Job, Worker
from otrace.spans import note_end

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import SpanContext

Mode = Literal["recorder", "always", "sampled"]
MODES = ("recorder", "always", "sampled")
OPEN_MAX = 100_000  # spans that nobody ever ends must not fill the memory
HALF = (1 << 64) - 1
logger = logging.getLogger("otrace")


class OtraceSpanProcessor(SpanProcessor):
    """Keeps the function calls of local traces that turn out slow or failed.

    With `next` it holds a local trace's spans until its root ends and hands them to that
    processor; it can then put them below the calls that opened them. Without, it stands beside the
    service's own processor and adds the calls.

    slow: seconds, a table of seconds by root name (globs too), "adaptive", or None.
    errors: keep local traces whose root has the status ERROR.
    mode: "recorder" keeps slow and failed ones, "always" all, "sampled" a `ratio` of them.
    keep_unsampled: keep also slow and failed traces that were not sampled, where the sampler is an
    AlwaysRecordSampler. Needs `next`.
    exporter: a SpanExporter for the calls; else that of `next`, else OTEL_EXPORTER_OTLP_*.
    Other keywords are those of `otrace.start`; buffer_size is 64MiB, c_calls off.

    Raises ConfigError for a wrong option. If recording cannot start, a warning is logged and spans
    only pass through.
    """

    def __init__(
        self,
        next: SpanProcessor | None = None,  # noqa: A002 - what it is
        *,
        slow: float | Mapping[str, float] | str | None = 0.25,
        errors: bool = True,
        mode: Mode = "recorder",
        ratio: float = 1.0,
        keep_unsampled: bool = False,
        exporter: object | None = None,
        per_minute: float = 20.0,
        max_spans: int = 5000,
        max_depth: int = 256,
        hold_spans: int = 1000,
        hold_seconds: float = 30.0,
        queue_size: str | int = "16MiB",
        shutdown_timeout: float = 5.0,
        **recording: Any,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"mode is {mode!r}: it is one of {', '.join(MODES)}")
        if not 0.0 <= ratio <= 1.0:
            raise ConfigError(f"ratio is {ratio!r}: it is a number from 0 to 1")
        if keep_unsampled and (next is None or mode != "recorder"):
            raise ConfigError("keep_unsampled needs next= and the mode 'recorder'")
        self._next = next
        self._keep_unsampled = keep_unsampled
        self._is_slow = slow_rule(slow)
        self._errors = errors
        self._bound = {"recorder": -1, "always": 1 << 64, "sampled": int(ratio * (1 << 64))}[mode]
        self._limit = RateLimit(per_minute) if mode == "recorder" else None
        self._limits = Limits(max_spans, max_depth)
        self._hold_spans, self._hold_ns = hold_spans, int(hold_seconds * 1e9)
        self._way = way_for(exporter or getattr(next, "span_exporter", None))
        try:
            self._queue_size = config.parse_size(queue_size)
        except config.BadValueError as error:
            raise ConfigError(f"queue_size is {queue_size!r}: {error}") from None
        self._shutdown_timeout = shutdown_timeout
        self._begin()
        metrics.offer()
        self._recording = self._record(recording)
        ours = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forked(ours()))
        atexit.register(lambda: _exiting(ours()))  # before the ring's, which is older
        exits.add(self, shutdown_timeout)

    def _begin(self) -> None:
        """The state of one process; a forked child begins anew."""
        self._pid = os.getpid()
        self._ended = False
        self._deadline: float | None = None  # of the end, once it has begun
        self._ending = threading.Lock()  # a signal and an exit handler may end it at once
        self._open: dict[int, LocalRoot] = {}
        self._roots: OrderedDict[int, LocalRoot] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = Worker(
            self._capture, lambda job: self._release(job.root, job.span), self._queue_size
        )
        self._way.forked()
        self._outbox = Outbox(self._way, self._queue_size)

    def _record(self, options: Mapping[str, object]) -> bool:
        try:
            ring.start(options)
        except ConfigError:
            raise
        except OtraceError as error:
            logger.warning("function calls are not recorded: %s", error)
            return False
        if not current.watch():
            logger.warning(
                "function calls are not captured: the current span is not in a context variable"
                " (OTEL_PYTHON_CONTEXT is %s)",
                os.environ.get("OTEL_PYTHON_CONTEXT", "not set"),
            )
            return False
        return True

    # ---- on the request's thread

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note that the span starts, and in which call."""
        if self._next is not None:
            self._next.on_start(span, parent_context)
        if not self._recording:
            return
        if os.getpid() != self._pid:  # a fork without Python's hooks
            self._begin()
        context = span.context
        if context is None or len(self._open) >= OPEN_MAX:
            return
        parent = span.parent
        root = None if parent is None or parent.is_remote else self._open.get(parent.span_id)
        if root is None:
            root = self._new_root(context)
        root.note(context.span_id, 0 if parent is None else parent.span_id)
        self._open[context.span_id] = root
        note_span(context.span_id, context.trace_id >> 64, context.trace_id & HALF)

    def _new_root(self, context: SpanContext) -> LocalRoot:
        root = LocalRoot(context.span_id, context.trace_id, holds=self._next is not None)
        if self._next is not None:
            with self._lock:
                self._roots[root.span_id] = root
                oldest = next(iter(self._roots.values()))
            if root.start_ns - oldest.start_ns > self._hold_ns:
                self._let_go(oldest)
        return root

    def on_end(self, span: ReadableSpan) -> None:
        """Hold the span, or decide about its whole local trace when it is the root."""
        if self._recording:
            note_end(span)
        context = span.context
        root = None if context is None else self._open.pop(context.span_id, None)
        if root is None or context is None:
            self._hand_on(span)
        elif context.span_id != root.span_id:
            self._hold(root, span)
        else:
            self._end_root(root, span)

    def _hold(self, root: LocalRoot, span: ReadableSpan) -> None:
        if self._next is None:
            return
        if root.holds:
            root.held.append(span)
            if len(root.held) >= self._hold_spans:
                self._let_go(root)
        else:
            self._hand_on(as_sampled(span) if root.raised else span)

    def _end_root(self, root: LocalRoot, span: ReadableSpan) -> None:
        end_ns = time.monotonic_ns()
        with self._lock:
            self._roots.pop(root.span_id, None)
        trigger = self._trigger(root, span, (end_ns - root.start_ns) / 1e9)
        if trigger is not None and self._recording:
            suppressed = 0 if self._limit is None else self._limit.take(span.name)
            if suppressed is None:
                counters.count("suppressed")
            elif self._outbox.open() and self._worker.submit(
                Job(root, span, end_ns, trigger, suppressed)
            ):
                return
            else:
                counters.count("skipped")
        self._release(root, span)

    def _trigger(self, root: LocalRoot, span: ReadableSpan, duration_s: float) -> str | None:
        """Why the local trace is kept; None: it is not."""
        context = span.context
        if context is None:
            return None
        if not context.trace_flags.sampled and not (self._keep_unsampled and root.holds):
            return None
        slow = self._is_slow(span.name, duration_s)
        if self._bound < 0:
            failed = self._errors and span.status.status_code is StatusCode.ERROR
            return "error" if failed else "slow" if slow else None
        # As TraceIdRatioBased does, so that all services keep the same traces.
        return "sampled" if context.trace_id & HALF < self._bound else None

    # ---- what leaves

    def _let_go(self, root: LocalRoot) -> None:
        """Held too long, or too much: its spans go on as they are."""
        with self._lock:
            if self._roots.pop(root.span_id, None) is None:
                return  # it has just ended
            held = root.let_go()
        counters.count("released", len(held))
        for span in held:
            self._hand_on(span)

    def _release(self, root: LocalRoot, span: ReadableSpan) -> None:
        for held in root.let_go():
            self._hand_on(held)
        self._hand_on(span)

    def _hand_on(self, span: ReadableSpan) -> None:
        if self._next is not None:
            self._next.on_end(span)

    def _capture(self, job: Job) -> None:
        """On the worker's thread: read the calls, and let everything go."""
        context = job.span.context
        assert context is not None
        state = context.trace_state.to_header().encode()
        capture = read(job.root, job.end_ns, job.span.end_time or 0, self._limits, state)
        facts = {"otrace.captured": True, "otrace.trigger": job.trigger, **capture.facts}
        if job.suppressed:
            facts["otrace.suppressed"] = job.suppressed
        if self._next is None:
            capture.blocks = with_attributes(capture.blocks, job.root.span_id, facts)
        else:
            if not context.trace_flags.sampled:
                job.root.raised = facts["otrace.unsampled"] = True
            for held in job.root.let_go():
                span = as_sampled(held) if job.root.raised else held
                opener = capture.openers.get(span.context.span_id) if span.context else None
                self._hand_on(span if opener is None else changed(span, opener, {}))
            root = as_sampled(job.span) if job.root.raised else job.span
            self._hand_on(changed(root, None, facts))
        counters.count("captured")
        if capture.spans:
            self._outbox.put(Parcel(capture, job.span.resource, sampled=True))

    # ---- the end

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what was kept so far has been sent; False when the time is up."""
        deadline = time.monotonic() + timeout_millis / 1000
        done = self._worker.flush(deadline) and self._outbox.flush(deadline)
        if self._next is not None:
            left = max(1, int((deadline - time.monotonic()) * 1000))
            done = self._next.force_flush(left) and done
        return done

    def end_recording(self) -> None:
        """Send what was kept so far; from now on spans only pass through."""
        deadline = self._end_by()
        self._worker.flush(deadline)
        self._recording = False
        self._outbox.flush(deadline)

    def shutdown(self) -> None:
        """Send what can be sent within `shutdown_timeout` seconds, then stop."""
        if os.getpid() != self._pid:
            self._begin()
        deadline = self._end_by()
        if not self._ending.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        try:
            if not self._ended:
                self._ended = True
                self._end(deadline)
        finally:
            self._ending.release()

    def _end(self, deadline: float) -> None:
        self._recording = False
        self._worker.close(deadline)
        for root in list(self._roots.values()):
            self._let_go(root)
        self._outbox.close(deadline)
        if self._next is not None:
            self._next.shutdown()
        current.leave()
        ring.stop()

    def _end_by(self) -> float:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._shutdown_timeout
        return self._deadline


def _forked(processor: OtraceSpanProcessor | None) -> None:
    """In a forked child: its parent's spans and counters are not its own."""
    counters.reset()
    if processor is not None:
        processor._begin()
        exits.after_fork()


def _exiting(processor: OtraceSpanProcessor | None) -> None:
    """The ring ends next. The provider may be shut down later, or never."""
    if processor is None:
        return
    left = processor._end_by() - time.monotonic()
    if processor._ending.acquire(timeout=max(0.0, left)):
        try:
            processor.end_recording()
        finally:
            processor._ending.release()
