"""A recording as traces.

A run is one trace: a span for each process, below it one for each thread's work, below that the
calls. A run longer than the window is several: what begins in a later window is a trace of its
own, whose root is linked to the run's. So is each request that a server handles.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace.encoding_otlp import Part
from otrace_exporters.otlp import facts, request_traces, resource
from otrace_exporters.otlp.batches import Spans
from otrace_exporters.otlp.context import parent_from
from otrace_exporters.otlp.facts import Totals
from otrace_exporters.otlp.request_traces import Place, RequestSource
from otrace_exporters.otlp.selection import Selection, process_end
from otrace_exporters.otlp.spans import OwnSpan, Trace

if TYPE_CHECKING:
    from otrace.recording import Process, Track

ID_BYTES = 16


@dataclass(frozen=True)
class Work:
    """What a process did in a window: its threads, and the time that they cover."""

    place: int
    process: Process
    threads: list[tuple[int, Track, Part]]
    start_ns: int
    end_ns: int


class Traces:
    """The traces of a selection; `spans` gives all their spans, window after window."""

    def __init__(
        self,
        selection: Selection,
        *,
        service: str,
        version: str,
        environment: Mapping[str, str],
        run: tuple[Trace, bytes] | None = None,
    ) -> None:
        """`run` is the span that all windows are linked to, when it is sent apart from them."""
        self.selection = selection
        self.recording = selection.recording
        self.program = facts.program_name(self.recording)
        self.windows = range(selection.first, selection.windows)
        self.traces = {window: Trace(secrets.token_bytes(ID_BYTES)) for window in self.windows}
        self.main = facts.main_process(self.recording, selection.processes)
        self.parent = parent_from(selection.processes[self.main].notes)
        self._run = run
        if self.parent is not None and run is None:
            self.traces[0] = Trace(self.parent.trace_id, self.parent.state)
        scope = resource.encode_scope(version)
        self._headers = [
            resource.encode_header(
                resource.encode(
                    resource.attributes_of(process, self.recording, service, environment)
                ),
                scope,
            )
            for process in selection.processes
        ]
        self._own_ids: dict[tuple[int, int], bytes] = {}
        self.totals = Totals()
        """Of what `spans` has given so far."""
        self.sent_traces: list[Trace] = []

    def expected_spans(self) -> int:
        """About how many spans there will be."""
        selection = self.selection
        parts = (
            part
            for window in self.windows
            for place in range(len(selection.processes))
            for _, _, part in selection.parts(window, place)
        )
        return sum(1 + part.spans + part.collapsed_spans for part in parts)

    def spans(self) -> Iterator[Spans]:
        """All spans, the root of a trace first."""
        for window in self.windows:
            yield from self._window(window)

    def requests(self) -> Iterator[Spans]:
        """All spans of requests, when those of the run were given."""
        for place, process in enumerate(self.selection.processes):
            yield from self._requests(place, process)

    def _requests(self, place: int, process: Process) -> Iterator[Spans]:
        assert self._run is not None
        selection = self.selection
        kinds = selection.entries.kinds_of(process)
        end_ns = process_end(process) if kinds else 0
        for track in process.tracks if kinds else ():
            source = RequestSource(track, kinds, end_ns, self.recording.start_wall_ns)
            plans = request_traces.plans(
                source, selection.budget, selection.salts, Place(), leave_open=False
            )
            for plan in plans:
                for trace, totals, spans in request_traces.spans_of(
                    plan, self._headers[place], self._run
                ):
                    self.sent_traces.append(trace)
                    self.totals += totals
                    yield from spans

    def _window(self, window: int) -> Iterator[Spans]:
        works = [
            work
            for place in range(len(self.selection.processes))
            if (work := self._work(window, place)) is not None
        ]
        if not works:
            return
        if works[0].place != self.main and any(work.place == self.main for work in works):
            works.sort(key=lambda work: work.place != self.main)
        totals = facts.totals_of(part for work in works for _, _, part in work.threads)
        self.totals += totals
        self.sent_traces.append(self.traces[window])
        root = works[0]
        for work in works:
            self._own_ids[window, work.place] = self.selection.plan.own_id(window, work.place)
        if self._run is None:
            self._run = self.traces[window], self._own_ids[window, root.place]
        for work in works:
            span = self._process_span(window, work, root)
            if work is root:
                span.attributes = {**span.attributes, **facts.totals_attributes(totals)}
                self._tie(window, span)
            yield self._encode(work.place, [span], window)
            yield from self._threads(window, work, span.id)

    def _work(self, window: int, place: int) -> Work | None:
        """What the process did in the window; None when it was not there."""
        selection, process = self.selection, self.selection.processes[place]
        threads = selection.parts(window, place)
        times = [
            ns for _, _, part in threads for ns in (part.first_ns, part.last_ns) if ns is not None
        ]
        first = window == selection.window_at(process.start_ns)
        if first:
            times += [process.start_ns, process.end_ns or process.start_ns]
            times += [track.start_ns for _, track, _ in threads]
            if selection.windows == 1:
                times += [track.end_ns for _, track, _ in threads if track.end_ns is not None]
        elif not threads:
            return None
        return Work(place, process, threads, min(times), max(times))

    def _process_span(self, window: int, work: Work, root: Work) -> OwnSpan:
        process = work.process
        is_main = work.place == self.main
        first = window == self.selection.window_at(process.start_ns)
        span = OwnSpan(
            name=self.program if is_main else process.name,
            id=self._own_ids[window, work.place],
            parent_id=b"" if work is root else self._parent_of(window, work, root),
            start_ns=self._wall(work.start_ns),
            end_ns=self._wall(work.end_ns),
            attributes=facts.process_attributes(process) if first else {},
        )
        if not first or self.selection.windows > 1:
            span.attributes = {**span.attributes, "otrace.window": window}
        context = parent_from(process.notes)
        if first and not is_main and context is not None and context != self.parent:
            span.link = Trace(context.trace_id, context.state), context.span_id
        if is_main and self._is_run(window, span):
            ended, span.error = facts.how_it_ended(self.recording)
            span.attributes = {**span.attributes, **ended}
        return span

    def _tie(self, window: int, root: OwnSpan) -> None:
        """The root of a trace: below the span that the program was started from, or linked."""
        if not self._is_run(window, root):
            root.link = self._run
        elif self.parent is not None:
            root.parent_id = self.parent.span_id
            root.remote_parent = True
        if window == 0 and self.selection.unsent:
            calls = sum(track.summary().calls for track in self.selection.unsent)
            root.attributes = {
                **root.attributes,
                "otrace.left_out.threads": len(self.selection.unsent),
                "otrace.left_out.threads.calls": calls,
            }

    def _is_run(self, window: int, span: OwnSpan) -> bool:
        """Whether it is the run's own span."""
        return self._run == (self.traces[window], span.id)

    def _parent_of(self, window: int, work: Work, root: Work) -> bytes:
        """The span that was open in the parent process while this one ran.

        It is known when one thread alone was in a call then; else it is the process's own span.
        """
        plan, first = self.selection.plan, self.selection.first
        for place, process in reversed(list(enumerate(self.selection.processes))):
            if process.pid != work.process.parent_pid or (window, place) not in self._own_ids:
                continue
            if process.start_ns > work.process.start_ns:
                continue  # the number was used again
            found = [
                span_id
                for number, _ in self.selection.numbers[place]
                if (span_id := plan.find(window - first, number, work.start_ns, work.end_ns))
                is not None
            ]
            return found[0] if len(found) == 1 else self._own_ids[window, place]
        return self._own_ids[window, root.place]

    def _threads(self, window: int, work: Work, parent_id: bytes) -> Iterator[Spans]:
        trace = self.traces[window]
        for number, track, part in work.threads:
            yield self._encode(
                work.place, [self._thread_span(window, number, track, part, parent_id)], window
            )
            resource_, scope = self._headers[work.place]
            state = trace.state.encode()
            for block in self.selection.plan.blocks(
                window - self.selection.first, number, trace.id, state
            ):
                yield Spans(resource_, scope, block.data, block.spans)

    def _thread_span(
        self, window: int, number: int, track: Track, part: Part, parent_id: bytes
    ) -> OwnSpan:
        first = window == self.selection.window_at(track.start_ns)
        times = [ns for ns in (part.first_ns, part.last_ns) if ns is not None]
        if first or not times:
            times.append(track.start_ns)
        if self.selection.windows == 1 and track.end_ns is not None:
            times.append(track.end_ns)
        return OwnSpan(
            name=track.name,
            id=part.span_id,
            parent_id=parent_id,
            start_ns=self._wall(min(times)),
            end_ns=self._wall(max(times)),
            attributes=facts.thread_attributes(track, part, first=first),
            events=self.selection.plan.marks(window - self.selection.first, number),
            dropped_events=part.marks_dropped,
            error=part.escaped,
            link=None if part.inside is None else (self.traces[part.inside[0]], part.inside[1]),
        )

    def _encode(self, place: int, spans: list[OwnSpan], window: int) -> Spans:
        resource_, scope = self._headers[place]
        data = b"".join(span.encode(self.traces[window]) for span in spans)
        return Spans(resource_, scope, data, len(spans))

    def _wall(self, ns: int) -> int:
        return self.recording.start_wall_ns + ns
