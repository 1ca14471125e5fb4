"""A service's own spans in a file, for OTEL_TRACES_EXPORTER: otrace_chrome and otrace_perfetto.

The file is whole after each batch: what a crash takes is what the SDK still held. A forked process
writes a file of its own, with its number in the name.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from otrace.otel.outbox import RareLog
from otrace_exporters.perfetto_packets import (
    BEGIN,
    END,
    annotation,
    at,
    event,
    named,
    packet,
    track,
)
from otrace_exporters.protobuf import bytes_field, number_field, text_field

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

PATH = "OTRACE_TRACES_FILE"
REMEMBERED = 256  # spans of a lane that a later one may lie around
TEXT_MOST = 1024
BEFORE_NS = 3_600_000_000_000  # spans that began longer before the file are cut


class Lanes:
    """Which track of the file a span goes on: those of one trace nest there, others follow."""

    def __init__(self) -> None:
        self._lanes: list[deque[tuple[int, int, int]]] = []

    def take(self, start: int, end: int, trace: int) -> tuple[int, bool]:
        """The lane's number, and whether it is a new one."""
        for number, lane in enumerate(self._lanes):
            if all(
                end <= other_start
                or start >= other_end
                or (
                    trace == other_trace
                    and (
                        (other_start <= start and end <= other_end)
                        or (start <= other_start and other_end <= end)
                    )
                )
                for other_start, other_end, other_trace in lane
            ):
                lane.append((start, end, trace))
                return number, False
        self._lanes.append(deque([(start, end, trace)], maxlen=REMEMBERED))
        return len(self._lanes) - 1, True


def lane_name(number: int) -> str:
    """As in files that are made of recordings."""
    return f"OpenTelemetry {number + 1}" if number else "OpenTelemetry"


def arguments_of(span: ReadableSpan) -> dict[str, Any]:
    """What is told of a span, bounded."""
    context, parent = span.context, span.parent
    assert context is not None
    told: dict[str, Any] = {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
    }
    if parent is not None:
        told["parent_span_id"] = f"{parent.span_id:016x}"
    told["span_kind"] = span.kind.name.lower()
    told["span_status"] = span.status.status_code.name.lower()
    if span.status.status_code is StatusCode.ERROR and span.status.description:
        told["otel.status_description"] = span.status.description[:TEXT_MOST]
    for key, value in (span.attributes or {}).items():
        whole = isinstance(value, (bool, int)) and abs(value) < 1 << 63
        told.setdefault(key, value if whole else str(value)[:TEXT_MOST])
    return told


class SpanFile(SpanExporter):
    """Opens the file at the first span, and adds each batch. A failure is one warning a minute."""

    suffix = ""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or os.environ.get(PATH) or f"spans-{os.getpid()}{self.suffix}"
        self._owner = os.getpid()
        self._log = RareLog()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._closed = False
        self._lanes = Lanes()
        self._start_ns = time.time_ns() - BEFORE_NS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Add them to the file."""
        try:
            with self._lock:
                if self._closed:
                    return SpanExportResult.FAILURE
                self._write(b"".join(self._encoded(spans)))
        except OSError as error:
            self._log(f"spans cannot be written to {self._path}: {error.strerror}")
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self) -> None:
        """Close the file. It stays as it is."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
                self._file = None

    def _encoded(self, spans: Sequence[ReadableSpan]) -> Iterator[bytes]:
        """Those that ended, outer ones before what lies in them."""
        ended = [span for span in spans if span.context and span.start_time and span.end_time]
        if self._file is None and ended:
            name = ended[0].resource.attributes.get("service.name", "spans")
            yield self._head(str(name))
        for span in sorted(ended, key=lambda span: (span.start_time or 0, -(span.end_time or 0))):
            assert span.start_time is not None
            assert span.end_time is not None
            assert span.context is not None
            start = max(span.start_time, self._start_ns)
            end = max(span.end_time, start)
            lane, new = self._lanes.take(start, end, span.context.trace_id)
            if new:
                yield self._lane(lane)
            yield self._span(span, lane, start, end)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._file is None:
            path = self._path
            if os.getpid() != self._owner:
                stem, suffix = os.path.splitext(path)
                path = f"{stem}-{os.getpid()}{suffix}"
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - until shutdown
        self._add(self._file, data)

    def _add(self, file: BinaryIO, data: bytes) -> None:
        file.write(data)

    def _head(self, name: str) -> bytes:
        raise NotImplementedError

    def _lane(self, lane: int) -> bytes:
        raise NotImplementedError

    def _span(self, span: ReadableSpan, lane: int, start: int, end: int) -> bytes:
        raise NotImplementedError


class ChromeSpanExporter(SpanFile):
    """Chrome Trace JSON; the end of the list is written anew behind each batch."""

    suffix = ".json"

    def _add(self, file: BinaryIO, data: bytes) -> None:
        last = {"ph": "M", "tid": 0, "name": "process_sort_index", "args": {"sort_index": 0}}
        tail = self._row(last)[:-2] + b"]}\n"  # the one row without a comma behind it
        file.write(data + tail)
        file.seek(-len(tail), os.SEEK_END)

    def _head(self, name: str) -> bytes:
        head = {"displayTimeUnit": "ns", "otherData": {"start_wall_ns": self._start_ns}}
        row = self._row({"ph": "M", "tid": 0, "name": "process_name", "args": {"name": name}})
        return json.dumps(head)[:-1].encode() + b', "traceEvents": [\n' + row

    def _lane(self, lane: int) -> bytes:
        args = {"name": lane_name(lane)}
        return self._row({"ph": "M", "tid": lane + 1, "name": "thread_name", "args": args})

    def _span(self, span: ReadableSpan, lane: int, start: int, end: int) -> bytes:
        times = {"ts": (start - self._start_ns) / 1000, "dur": (end - start) / 1000}
        args = arguments_of(span)
        return self._row(
            {"ph": "X", "tid": lane + 1, **times, "name": span.name, "cat": "span", "args": args}
        )

    def _row(self, row: dict[str, Any]) -> bytes:
        return json.dumps({"pid": os.getpid(), **row}).encode() + b",\n"


class PerfettoSpanExporter(SpanFile):
    """Perfetto's native trace; each packet stands for itself. Times are those of the wall clock."""

    suffix = ".pftrace"
    sequence, process, first_lane = 1, 1, 2

    def _head(self, name: str) -> bytes:
        clocks = b"".join(
            bytes_field(1, number_field(1, clock) + number_field(2, self._start_ns))
            for clock in (1, 6)  # the wall clock, and that of the trace
        )
        process = bytes_field(3, number_field(1, os.getpid()) + text_field(6, name))
        described = bytes_field(60, number_field(1, self.process) + process)
        return packet(self.sequence, bytes_field(6, clocks)) + packet(self.sequence, described)

    def _lane(self, lane: int) -> bytes:
        return packet(self.sequence, track(self.first_lane + lane, lane_name(lane), self.process))

    def _span(self, span: ReadableSpan, lane: int, start: int, end: int) -> bytes:
        uuid = self.first_lane + lane
        args = b"".join(annotation(*argument) for argument in arguments_of(span).items())
        begin = event(BEGIN, uuid, named("span", span.name) + args)
        return packet(self.sequence, at(start) + begin) + packet(
            self.sequence, at(end) + event(END, uuid)
        )
