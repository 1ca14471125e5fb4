"""OTLP over gRPC. Imports grpc: only for an export, never in a traced process."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its log goes to stderr, which is the user's

import grpc  # type: ignore[import-untyped]

from otrace_exporters.otlp.configuration import Configuration
from otrace_exporters.otlp.transport import (
    RefusedError,
    TooLargeError,
    TryAgainError,
    one_line,
)

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
START_ONE = "start a collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT"
TRY_AGAIN = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
)
RETRY_INFO = "google.rpc.retryinfo-bin"


class GrpcChannel:
    """A channel to one endpoint."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._reached = False
        scheme, _, target = configuration.url.partition("://")
        options = [("grpc.primary_user_agent", user_agent())]
        gzip = configuration.compression == "gzip"
        compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        if scheme == "https":
            self._channel = grpc.secure_channel(
                target, credentials(configuration), options, compression
            )
        else:
            self._channel = grpc.insecure_channel(target, options, compression)
        self._export = self._channel.unary_unary(METHOD)  # bytes in, bytes out
        self._metadata = tuple(configuration.headers.items())

    def send(self, request: bytes) -> bytes:
        """Call Export; returns the encoded response."""
        try:
            response: bytes = self._export(
                request, timeout=self._configuration.timeout_s, metadata=self._metadata
            )
        except grpc.RpcError as error:
            raise self._judge(error) from error
        self._reached = True
        return response

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _judge(self, error: Any) -> Exception:
        code, details = error.code(), one_line(error.details() or "")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            after = retry_delay(error.trailing_metadata())
            return TryAgainError(details, after) if after is not None else TooLargeError(details)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return RefusedError(f"no answer within {self._configuration.timeout_s:g} s")
        if code is grpc.StatusCode.UNAVAILABLE and not self._reached and is_absent(details):
            return RefusedError(absent_reason(details), START_ONE)
        said = f"it answered {code.name}: {details}" if details else f"it answered {code.name}"
        if code in TRY_AGAIN:
            return TryAgainError(said, retry_delay(error.trailing_metadata()))
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return RefusedError(said, "set OTEL_EXPORTER_OTLP_HEADERS to what it wants to see")
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return RefusedError(said, "is it an OTLP/gRPC endpoint?")
        return RefusedError(said)


def user_agent() -> str:
    """Who sends, as OTLP wants exporters to say."""
    from otrace import __version__

    return f"otrace/{__version__}"


def credentials(configuration: Configuration) -> Any:
    """TLS: the authority to trust and the client's own certificate."""
    return grpc.ssl_channel_credentials(
        read(configuration.certificate),
        read(configuration.client_key),
        read(configuration.client_certificate),
    )


def read(path: str | None) -> bytes | None:
    """The bytes of a file that was given."""
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def is_absent(details: str) -> bool:
    """Whether nothing could be reached, which is no use to try again."""
    words = ("failed to connect", "dns resolution failed", "name resolution", "handshake")
    return any(word in details.lower() for word in words)


def absent_reason(details: str) -> str:
    """The cause in short."""
    lower = details.lower()
    if "connection refused" in lower:
        return "connection refused"
    if "dns" in lower or "name resolution" in lower:
        return "the host's name is not known"
    return details


def retry_delay(metadata: Any) -> float | None:
    """Seconds that the receiver asks to wait, from google.rpc.RetryInfo."""
    from otrace_exporters.protobuf import fields

    for key, value in metadata or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            try:
                return find_delay(dict(fields(value)).get(3), fields)
            except ValueError:
                return None
    return None


def find_delay(detail: object, read_fields: Any) -> float | None:
    """Of Any{1: type, 2: RetryInfo{1: Duration{1: seconds, 2: nanos}}}."""
    if not isinstance(detail, bytes):
        return None
    any_fields = dict(read_fields(detail))
    if not bytes(any_fields.get(1, b"")).endswith(b"google.rpc.RetryInfo"):
        return None
    duration = dict(read_fields(dict(read_fields(any_fields.get(2, b""))).get(1, b"")))
    return float(duration.get(1, 0)) + float(duration.get(2, 0)) / 1e9
