"""How captured calls leave: over otrace's own OTLP, or through any exporter of the SDK.

The first is ten times faster: bytes go out as they were encoded. The second makes a ReadableSpan
of each.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otrace import __version__
from otrace.errors import ExportError, UsageError
from otrace.otel.outbox import Parcel, StoppingError, Way
from otrace.otel.stats import count
from otrace_exporters.otlp.configuration import GRPC, Configuration, configure
from otrace_exporters.otlp.wire import any_value
from otrace_exporters.protobuf import bytes_field, text_field

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from otrace_exporters.otlp.transport import Sender

GIVE_UP_S = 10.0
EXPORT_AT_ONCE = 512
OTLP = tuple(f"otrace_exporters.otlp.{name}" for name in ("batches", "resource", "transport"))
HTTP = ("otrace_exporters.otlp.http_channel", "encodings.idna")
SDK = ("otrace.otel.readable", "opentelemetry.proto.trace.v1.trace_pb2")
ARRAY_VALUE = 5


def import_all(names: Iterable[str]) -> None:
    """Import now what sending needs: a fork amid an import leaves it locked in the child for ever.

    Not grpc, whose threads no fork should meet.
    """
    for name in names:
        importlib.import_module(name)


def way_for(exporter: object | None) -> Way:
    """The fast way where the service's exporter speaks OTLP over HTTP, or there is none."""
    if exporter is None:
        return OtlpWay(configure(None, {"give_up": GIVE_UP_S}, os.environ))
    configuration = configuration_of(exporter)
    if configuration is not None:
        return OtlpWay(configuration)
    if isinstance(exporter, SpanExporter):
        return ExporterWay(exporter)
    raise UsageError(f"exporter is {exporter!r}: it takes a SpanExporter of the SDK")


def configuration_of(exporter: object) -> Configuration | None:
    """What an OTLP/HTTP exporter of the SDK is set to, if that can be seen and copied."""
    if not type(exporter).__module__.startswith("opentelemetry.exporter.otlp.proto.http"):
        return None
    endpoint = getattr(exporter, "_endpoint", None)
    client = getattr(exporter, "_client", exporter)
    headers = getattr(client, "_headers", None)
    if not isinstance(endpoint, str) or not isinstance(headers, Mapping):
        return None
    if not endpoint.startswith("http://"):  # certificates and sessions are the exporter's own
        return None
    options = {"give_up": GIVE_UP_S, "protocol": "http/protobuf"}
    own = {"content-encoding", "content-type", "user-agent"}
    try:
        found = configure(None, options, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint})
    except UsageError:
        return None
    return Configuration(
        protocol=found.protocol,
        url=found.url,
        headers={key: value for key, value in headers.items() if key.lower() not in own},
        give_up_s=GIVE_UP_S,
        compression="gzip" if "gzip" in str(getattr(exporter, "_compression", "")).lower() else "",
    )


class OtlpWay:
    """otrace's OTLP. Each process connects at its first parcel."""

    def __init__(self, configuration: Configuration) -> None:
        import_all(OTLP if configuration.protocol == GRPC else (*OTLP, *HTTP))
        self._configuration = configuration
        self._sender: Sender | None = None
        self._stopping: threading.Event | None = None

    def send(self, parcel: Parcel, stopping: threading.Event) -> None:
        """Send all blocks of a parcel. Raises ExportError, StoppingError."""
        from otrace_exporters.otlp.batches import Spans, pack
        from otrace_exporters.otlp.resource import encode_header, encode_scope

        self._stopping = stopping
        resource, scope = encode_header(encode_resource(parcel.resource), encode_scope(__version__))
        blocks = parcel.capture.blocks
        parts = [Spans(resource, scope, block.data, block.spans) for block in blocks]
        sender = self._connected()
        for batch in pack(parts):
            sender.send(batch)

    def forked(self) -> None:
        """In a forked child: the connection is its parent's."""
        self._sender = self._stopping = None

    def close(self) -> None:
        """Close the connection."""
        if self._sender is not None:
            self._sender.channel.close()

    def _connected(self) -> Sender:
        from otrace_exporters.otlp.transport import Sender, connect

        if self._sender is None:
            self._sender = Sender(connect(self._configuration), self._configuration, self._pause)
        return self._sender

    def _pause(self, seconds: float) -> None:
        """Before a request is tried again."""
        count("retried")
        if self._stopping is not None and self._stopping.wait(seconds):
            raise StoppingError


class ExporterWay:
    """An exporter of the SDK's."""

    def __init__(self, exporter: SpanExporter) -> None:
        import_all(SDK)
        self._exporter = exporter

    def send(self, parcel: Parcel, stopping: threading.Event) -> None:
        """Export all spans of a parcel. Raises ExportError, StoppingError."""
        from otrace.otel.readable import readable_spans

        spans = list(readable_spans(parcel))
        for at in range(0, len(spans), EXPORT_AT_ONCE):
            if stopping.is_set():
                raise StoppingError
            self._export(spans[at : at + EXPORT_AT_ONCE])

    def forked(self) -> None:
        """It is the service's, and knows of forks itself."""

    def close(self) -> None:
        """It is the service's: nothing to close."""

    def _export(self, spans: Sequence[ReadableSpan]) -> None:
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise ExportError(f"{type(self._exporter).__name__} refused {len(spans)} spans")


def encode_resource(resource: Resource | None) -> bytes:
    """A Resource message."""
    attributes = {} if resource is None else resource.attributes
    return b"".join(
        bytes_field(1, text_field(1, key) + bytes_field(2, encode_value(value)))
        for key, value in attributes.items()
    )


def encode_value(value: Any) -> bytes:
    """The inside of an AnyValue: resources have lists too."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        items = b"".join(bytes_field(1, encode_value(item)) for item in value)
        return bytes_field(ARRAY_VALUE, items)
    return any_value(value if isinstance(value, (str, bool, int, float)) else str(value))
