"""Sending while the program runs: from outside, from segments that grow.

Each reading sends what is complete by then, once: requests that have ended, and windows of other
work whose time is over. Nothing is kept for later but where to go on: the recording itself is the
queue. Only what is being sent is in memory until it has arrived.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otrace import __version__
from otrace.encoding_otlp import tick_at
from otrace.errors import ExportError
from otrace.exporting import ExportResult
from otrace_exporters.otlp import facts, live_parts, request_traces, resource
from otrace_exporters.otlp.batches import TARGET, Batch, Spans, pack
from otrace_exporters.otlp.configuration import Configuration
from otrace_exporters.otlp.context import parent_from
from otrace_exporters.otlp.entries import Entries
from otrace_exporters.otlp.facts import Totals
from otrace_exporters.otlp.mapping import Traces
from otrace_exporters.otlp.request_traces import Place, RequestSource
from otrace_exporters.otlp.selection import Budget, Salts, process_end
from otrace_exporters.otlp.spans import OwnSpan, Trace
from otrace_exporters.otlp.transport import Sender, connect

if TYPE_CHECKING:
    from otrace.recording import Process, Recording

SLACK_NS = 100_000_000  # a thread may write what it has just done a little later


@dataclass(frozen=True)
class Run:
    """The span that everything is linked to; it is sent last."""

    trace: Trace
    span_id: bytes
    parent_id: bytes


class LiveSender:
    """Sends a recording that grows: `poll` now and then, `finish` when the program has ended."""

    def __init__(
        self,
        configuration: Configuration,
        budget: Budget,
        entries: Entries,
        service: str,
    ) -> None:
        self.pause: Callable[[float], None] = time.sleep
        """How to wait before a request is tried again."""
        self._configuration = configuration
        self._budget = budget
        self._entries = entries
        self._service = service
        self._requests_salt = secrets.randbits(64)
        self._run: Run | None = None
        self._sender: Sender | None = None
        self._waiting: list[Spans] = []
        self._requests_from: dict[tuple[str, int], Place] = {}
        self._read_to_end: dict[str, live_parts.Marks] = {}
        self._window = 0
        self._window_from: dict[str, int] = {}
        self._lost = live_parts.LostUnsent()
        self._traces = 0
        self._totals = Totals()

    @property
    def has_sent(self) -> bool:
        """Whether anything has arrived."""
        return self._sender is not None and self._sender.spans + self._sender.rejected > 0

    def poll(self, path: str) -> None:
        """Send what is complete. Raises ExportError or RecordingError; the next time goes on."""
        self._flush()
        recording = live_parts.open_recording(path)
        if recording is None:
            return
        self._run_of(recording)
        now_ns = time.monotonic_ns() - recording.start_mono_ns
        self._put_requests(recording, now_ns, leave_open=True)
        self._put_windows(recording, now_ns - SLACK_NS)
        self._flush()

    def finish(self, path: str) -> ExportResult:
        """Send the rest, the run's own span last. Raises ExportError, RecordingError."""
        self._flush()
        recording = live_parts.open_recording(path)
        if recording is not None:
            self._run_of(recording)
            self._put_requests(recording, recording.duration_ns, leave_open=False)
            self._put_windows(recording, recording.duration_ns)
            self._put(self._next_window(recording, None))
            self._put([self._run_span(recording)])
            self._flush()
        sender = self._connected()
        sender.channel.close()
        message = f"{sender.spans:,} spans in {self._traces:,} traces"
        if sender.rejected:
            message += f"; {sender.rejected:,} spans rejected by the receiver"
        message = "; ".join([message, *(f"the receiver says: {said}" for said in sender.warnings)])
        calls = self._totals.sent + self._totals.collapsed
        return ExportResult(self._configuration.shown, calls, sender.size, message)

    # ---- sending ----

    def _connected(self) -> Sender:
        if self._sender is None:
            self._sender = Sender(connect(self._configuration), self._configuration)
        self._sender.pause = self.pause
        return self._sender

    def _flush(self) -> None:
        while self._waiting:
            batch = next(pack(self._waiting))
            self._send(batch)
            del self._waiting[: len(batch.parts)]

    def _send(self, batch: Batch) -> None:
        """Send it, or find that only this one is refused: what waits behind it goes on then."""
        sender = self._connected()
        for last in (False, True):  # it may have had a bad moment
            try:
                sender.send(batch)
            except ExportError as error:
                if not sender.takes_others():
                    raise
                if last:
                    sender.leave_out(batch, error)
            else:
                return

    def _put(self, spans: list[Spans]) -> None:
        """Have it sent; what cannot be sent now waits, and nothing more is read meanwhile."""
        self._waiting += spans
        if sum(len(one.data) for one in self._waiting) >= TARGET:
            self._flush()

    # ---- what is complete ----

    def _run_of(self, recording: Recording) -> Run:
        if self._run is None:
            main = recording.processes[facts.main_process(recording, recording.processes)]
            parent = parent_from(main.notes)
            trace = Trace(secrets.token_bytes(16))
            if parent is not None:
                trace = Trace(parent.trace_id, parent.state)
            self._run = Run(trace, secrets.token_bytes(8), parent.span_id if parent else b"")
        return self._run

    def _header(self, process: Process, recording: Recording) -> tuple[bytes, bytes]:
        attributes = resource.attributes_of(
            process, recording, self._service_of(recording), os.environ
        )
        scope = resource.encode_scope(__version__)
        return resource.encode_header(resource.encode(attributes), scope)

    def _service_of(self, recording: Recording) -> str:
        return resource.service_name(facts.program_name(recording), os.environ, self._service)

    def _salts(self) -> Salts:
        return Salts(secrets.randbits(64), self._requests_salt)

    def _put_requests(self, recording: Recording, now_ns: int, *, leave_open: bool) -> None:
        for process in recording.processes:
            kinds = self._entries.kinds_of(process)
            header = self._header(process, recording) if kinds else (b"", b"")
            end_ns = now_ns if leave_open or not kinds else process_end(process)
            read_to_end = self._read_to_end.setdefault(process.path, live_parts.Marks())
            for track in process.tracks if kinds else ():
                place = process.path, track.id
                if track.id in read_to_end:
                    continue
                source = RequestSource(track, kinds, end_ns, recording.start_wall_ns)
                self._put_requests_of(source, place, header, leave_open=leave_open)
                if track.end_ns is not None:
                    read_to_end.add(track.id)
                    self._requests_from.pop(place, None)

    def _put_requests_of(
        self,
        source: RequestSource,
        place: tuple[str, int],
        header: tuple[bytes, bytes],
        *,
        leave_open: bool,
    ) -> None:
        run = self._run
        assert run is not None
        for plan in request_traces.plans(
            source,
            self._budget,
            self._salts(),
            self._requests_from.setdefault(place, Place()),
            leave_open=leave_open,
        ):
            found = list(request_traces.spans_of(plan, header, (run.trace, run.span_id)))
            self._traces += len(found)
            self._totals = sum((totals for _, totals, _ in found), self._totals)
            self._put([one for _, _, spans in found for one in spans])

    def _put_windows(self, recording: Recording, now_ns: int) -> None:
        while now_ns >= (until_ns := (self._window + 1) * self._budget.window_ns):
            self._put(self._next_window(recording, until_ns))

    def _next_window(self, recording: Recording, until_ns: int | None) -> list[Spans]:
        """The spans of the next window, which is over at `until_ns`; None: with the recording."""
        run = self._run_of(recording)
        until = {
            process.clock: 0 if until_ns is None else tick_at(process, until_ns)
            for process in recording.processes
        }
        part = live_parts.Part(
            self._window, self._window * self._budget.window_ns, until_ns, self._window_from, until
        )
        selection = live_parts.select_part(
            recording, self._budget, self._salts(), self._entries, part
        )
        traces = Traces(
            selection,
            service=self._service_of(recording),
            version=__version__,
            environment=os.environ,
            run=(run.trace, run.span_id),
        )
        spans = list(traces.spans())
        self._lost.look(recording, part.from_ns)
        self._window += 1
        self._window_from = until
        self._traces += len(traces.sent_traces)
        self._totals += traces.totals
        return spans

    def _run_span(self, recording: Recording) -> Spans:
        """The span of the whole run: how it ended, and what was sent of it."""
        run = self._run_of(recording)
        main = recording.processes[facts.main_process(recording, recording.processes)]
        ended, error = facts.how_it_ended(recording)
        span = OwnSpan(
            name=facts.program_name(recording),
            id=run.span_id,
            parent_id=run.parent_id,
            start_ns=recording.start_wall_ns + main.start_ns,
            end_ns=recording.start_wall_ns + process_end(main),
            attributes={
                "process.pid": main.pid,
                **facts.totals_attributes(self._totals),
                **self._lost.attributes(),
                **ended,
            },
            remote_parent=bool(run.parent_id),
            error=error,
        )
        self._traces += 1
        return Spans(*self._header(main, recording), span.encode(run.trace), 1)


def create(
    configuration: Configuration, options: Mapping[str, object], budget: Budget, entries: Entries
) -> LiveSender:
    """A sender as the exporter's options have it. Waits for an answer no longer than for an end."""
    timeout_s = min(configuration.timeout_s, configuration.give_up_s)
    return LiveSender(
        replace(configuration, timeout_s=timeout_s),
        budget,
        entries,
        str(options.get("service") or ""),
    )
