"""The plug-in `otlp`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.config import parse_duration
from otrace.errors import UsageError
from otrace.exporting import ExporterOption, ExportResult, Progress
from otrace_exporters.otlp.configuration import Configuration, configure, is_disabled

if TYPE_CHECKING:
    from otrace.recording import Recording
    from otrace_exporters.otlp.live import LiveSender
    from otrace_exporters.otlp.mapping import Traces
    from otrace_exporters.otlp.selection import Budget
    from otrace_exporters.otlp.transport import Sender

CHOOSING = 0.5  # of the progress: the rest is sending
FEWEST_SPANS = 10
DEEPEST = 1000


def parse_max_spans(text: str) -> int:
    """A whole number. Raises ValueError."""
    return parse_number(text, FEWEST_SPANS, 1_000_000)


def parse_max_depth(text: str) -> int:
    """A whole number. Raises ValueError."""
    return parse_number(text, 1, DEEPEST)


def parse_number(text: str, least: int, most: int) -> int:
    """A whole number in a range. Raises ValueError."""
    text = str(text).strip()
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"not a whole number from {least:,} to {most:,}")
    return int(text)


def parse_window(text: str) -> float:
    """Seconds, from a duration such as 60s. Raises ValueError."""
    nanoseconds = parse_duration(text)
    if nanoseconds < 1_000_000:
        raise ValueError("shorter than 1ms")
    return nanoseconds / 1e9


def parse_seconds(text: str) -> float:
    """Seconds, from a duration such as 30s. Raises ValueError."""
    return parse_duration(text) / 1e9


def parse_patterns(text: str) -> tuple[str, ...]:
    """Globs, separated by commas."""
    return tuple(pattern.strip() for pattern in text.split(",") if pattern.strip())


OPTIONS = (
    ExporterOption("endpoint", str, None, "Where to send: http://HOST:PORT."),
    ExporterOption("protocol", str, None, "http/protobuf or grpc."),
    ExporterOption("headers", str, None, "KEY=VALUE,KEY=VALUE, percent-encoded."),
    ExporterOption("timeout", str, None, "Of one request, in seconds; 10 by default."),
    ExporterOption(
        "give_up", parse_seconds, 30.0, "How long a request is tried again, such as 30s."
    ),
    ExporterOption("compression", str, None, "gzip or none."),
    ExporterOption("certificate", str, None, "File with the authorities to trust."),
    ExporterOption("client_certificate", str, None, "File with the client's certificate."),
    ExporterOption("client_key", str, None, "File with the client's key."),
    ExporterOption(
        "insecure", str, None, "true: grpc without TLS where the endpoint has no scheme."
    ),
    ExporterOption("service", str, None, "service.name of the resource."),
    ExporterOption("max_spans", parse_max_spans, 5000, "The most spans a trace."),
    ExporterOption("max_depth", parse_max_depth, 256, "The deepest call that becomes a span."),
    ExporterOption("window", parse_window, 60.0, "A longer run is a trace for each such time."),
    ExporterOption(
        "interval",
        parse_seconds,
        5.0,
        "How often to send while the program runs, such as 5s; 0: only after its end.",
    ),
    ExporterOption(
        "request",
        parse_patterns,
        (),
        "Functions whose outermost call is a trace of its own: GLOB,GLOB on names with module.",
    ),
)


class OtlpExporter:
    """Sends a recording as OpenTelemetry spans.

    Where to is said by the options, by `--export otlp=URL`, or by OTEL_EXPORTER_OTLP_*.
    """

    name = "otlp"
    suffixes: tuple[str, ...] = ()
    options = OPTIONS

    def check(self, target: str | None, options: Mapping[str, object]) -> None:
        """Raise UsageError for an address or a setting that cannot be used; connects nowhere."""
        configure(target, options, os.environ)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Choose the calls, encode and send them. Raises ExportError."""
        configuration = configure(target, options, os.environ)
        if is_disabled(os.environ):
            return ExportResult(configuration.shown, 0, 0, "not sent: OTEL_SDK_DISABLED is true")
        report = progress or ignore
        traces = choose(recording, options, lambda done: report(done * CHOOSING))
        sender = send(traces, configuration, lambda done: report(CHOOSING + done * CHOOSING))
        totals = traces.totals
        return ExportResult(
            configuration.shown,
            totals.sent + totals.collapsed,
            sender.size,
            summary(traces, sender),
        )

    def follows(self, options: Mapping[str, object]) -> float:
        """How often to send while the program runs, in seconds; 0: only after its end."""
        return 0.0 if is_disabled(os.environ) else as_float(options, "interval")

    def follow(self, target: str | None, options: Mapping[str, object]) -> LiveSender:
        """What sends while the program runs."""
        configuration = configure(target, options, os.environ)
        from otrace_exporters.otlp.entries import Entries
        from otrace_exporters.otlp.live import create

        entries = Entries(as_patterns(options, "request"))
        return create(configuration, options, budget_of(options), entries)


def ignore(done: float) -> None:
    """Nobody wants to know."""


def choose(
    recording: Recording, options: Mapping[str, object], progress: Callable[[float], None]
) -> Traces:
    """The recording as traces, chosen and not yet encoded. Imports the compiled module."""
    import secrets

    from otrace import __version__
    from otrace_exporters.otlp.entries import Entries
    from otrace_exporters.otlp.facts import program_name
    from otrace_exporters.otlp.mapping import Traces
    from otrace_exporters.otlp.resource import service_name
    from otrace_exporters.otlp.selection import Salts, select

    entries = Entries(as_patterns(options, "request"))
    service = service_name(program_name(recording), os.environ, str(options.get("service") or ""))
    return Traces(
        select(
            recording,
            budget_of(options),
            Salts(secrets.randbits(64), secrets.randbits(64)),
            entries,
            progress,
        ),
        service=service,
        version=__version__,
        environment=os.environ,
    )


def budget_of(options: Mapping[str, object]) -> Budget:
    """How much is sent, by the options."""
    from otrace_exporters.otlp.selection import Budget

    return Budget(
        max_spans=as_int(options, "max_spans"),
        max_depth=as_int(options, "max_depth"),
        window_ns=int(as_float(options, "window") * 1e9),
    )


def send(traces: Traces, configuration: Configuration, progress: Callable[[float], None]) -> Sender:
    """Send all traces. Raises ExportError."""
    from itertools import chain

    from otrace_exporters.otlp.batches import Batch, pack
    from otrace_exporters.otlp.transport import Sender, connect

    sender = Sender(connect(configuration), configuration)
    expected = max(1, traces.expected_spans())
    try:
        batches: Iterator[Batch] = pack(chain(traces.spans(), traces.requests()))
        for batch in batches:
            sender.send(batch)
            progress(min(1.0, (sender.spans + sender.rejected) / expected))
    finally:
        sender.channel.close()
    return sender


def summary(traces: Traces, sender: Sender) -> str:
    """What the user should know of what was sent."""
    totals = traces.totals
    count = len(traces.sent_traces)
    where = f"trace {traces.sent_traces[0].id.hex()}" if count == 1 else f"{count} traces"
    parts = [f"{sender.spans:,} spans in {where}"]
    if totals.collapsed or totals.left_out:
        parts.append(
            f"{totals.collapsed:,} calls collapsed and {totals.left_out:,} left out"
            " to stay within max_spans and max_depth"
        )
    if sender.rejected:
        parts.append(f"{sender.rejected:,} spans rejected by the receiver")
    parts += [f"the receiver says: {words}" for words in sender.warnings]
    return "; ".join(parts)


def as_int(options: Mapping[str, object], name: str) -> int:
    """An option that was parsed to an int."""
    value = options[name]
    if not isinstance(value, int):
        raise UsageError(f"option otlp.{name} is {value!r}: not a whole number")
    return value


def as_patterns(options: Mapping[str, object], name: str) -> tuple[str, ...]:
    """An option that was parsed to globs."""
    value = options[name]
    if not isinstance(value, tuple):
        raise UsageError(f"option otlp.{name} is {value!r}: not a list of globs")
    return value


def as_float(options: Mapping[str, object], name: str) -> float:
    """An option that was parsed to a float."""
    value = options[name]
    if not isinstance(value, (int, float)):
        raise UsageError(f"option otlp.{name} is {value!r}: not a number")
    return float(value)
