"""Collectors that misbehave: every failure is one line, and the recording can be sent later."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from integration.otlp_receiver import Answer, always, free_port, receiving, spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from .conftest import Otrace

PROGRAM = "def f(n):\n    return n and f(n - 1)\n\nf(20)\n"
SPANS = 1 + 1 + 1 + 21  # process, thread, module, calls
ONLY_MAIN = ("--include", "__main__", "--no-c-calls")


@pytest.fixture
def recording(otrace: Otrace) -> str:
    otrace.write("app.py", PROGRAM)
    otrace("run", "-q", *ONLY_MAIN, "-o", "app.otrace", "app.py")
    return "app.otrace"


def export(otrace: Otrace, recording: str, url: str, *, status: int, **variables: str) -> str:
    """Export the recording; the words on stderr, which are one line."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **variables}
    done = otrace("export", recording, "--to", "otlp", env=environment, status=status)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "Traceback" not in line
    return str(line)


def test_an_absent_collector_keeps_the_recording_for_later(otrace: Otrace) -> None:
    otrace.write("app.py", PROGRAM + "print('done')\nraise SystemExit(7)\n")
    url = f"http://127.0.0.1:{free_port()}"
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
    done = otrace("run", *ONLY_MAIN, "--export", "otlp", "app.py", env=environment, status=7)
    assert done.stdout == "done\n"
    (line,) = done.stderr.splitlines()
    assert f"cannot send spans to {url}/v1/traces: connection refused" in line
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in line
    (kept,) = otrace.folder.glob("*.otrace")
    assert kept.name in line
    with receiving(always(Answer())) as receiver:
        assert f"{SPANS} spans" in export(otrace, kept.name, receiver.url, status=0)
    assert len(spans(receiver.accepted)) == SPANS


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "it answered 400"),
        (401, "OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "is it an OTLP/HTTP endpoint?"),
        (500, "it answered 500"),
        (302, "it has moved to http://elsewhere/"),
    ],
)
def test_a_refusal_is_told_and_not_tried_again(
    otrace: Otrace, recording: str, status: int, words: str
) -> None:
    refused = Answer(status, b"no such\ntenant", {"Location": "http://elsewhere/"})
    with receiving(always(refused)) as receiver:
        line = export(otrace, recording, receiver.url, status=1)
    assert f"cannot send spans to {receiver.url}/v1/traces: it answered {status}" in line
    assert words in line
    assert status == 302 or "no such tenant" in line
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_collector_is_asked_again(otrace: Otrace, recording: str, status: int) -> None:
    busy = Answer(status, headers={"Retry-After": "0"})
    with receiving(always(busy, busy, Answer())) as receiver:
        assert f"{SPANS} spans" in export(otrace, recording, receiver.url, status=0)
    assert len(receiver.requests) == 3
    assert len(spans(receiver.accepted)) == SPANS


def test_a_collector_that_stays_busy_is_given_up(otrace: Otrace, recording: str) -> None:
    with receiving(always(Answer(503, headers={"Retry-After": "3600"}))) as receiver:
        line = export(otrace, recording, receiver.url, status=1)
    assert "it answered 503 Service Unavailable, and asks to wait for 3600 s" in line


def test_a_request_that_is_too_large_goes_in_pieces(otrace: Otrace, recording: str) -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> Answer:
        return Answer(413 if len(spans([request])) > 5 else 200)

    with receiving(answer) as receiver:
        assert f"{SPANS} spans" in export(otrace, recording, receiver.url, status=0)
    names = spans(receiver.accepted)
    assert len(names) == SPANS
    assert names.count("__main__.f") == 21


def test_a_collector_that_never_answers(otrace: Otrace, recording: str) -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> None:
        receiver.over.wait()

    with receiving(answer) as receiver:
        timeout = {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0.3"}
        line = export(otrace, recording, receiver.url, status=1, **timeout)
    assert "no answer within 0.3 s" in line
    assert len(receiver.requests) == 1


def test_a_connection_that_is_closed(otrace: Otrace, recording: str) -> None:
    with receiving(always(None)) as receiver:
        line = export(otrace, recording, receiver.url, status=1)
    assert "it closed the connection without an answer" in line


def test_something_that_is_no_web_server(otrace: Otrace, recording: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        talking = pool.submit(talk)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        line = export(otrace, recording, url, status=1)
        talking.result()
    assert f"cannot send spans to {url}/v1/traces: " in line


def test_rejected_spans_are_told(otrace: Otrace, recording: str) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 4
    response.partial_success.error_message = "they are too old"
    with receiving(always(Answer(body=response.SerializeToString()))) as receiver:
        line = export(otrace, recording, receiver.url, status=0)
    assert f"{SPANS - 4} spans" in line
    assert "4 spans rejected by the receiver" in line
    assert "they are too old" in line


def test_headers_and_compression(otrace: Otrace, recording: str) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x,x-tenant=a",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    with receiving(always(Answer())) as receiver:
        export(otrace, recording, receiver.url, status=0, **variables)
    (headers,) = receiver.headers
    assert headers["authorization"] == "Bearer x"
    assert headers["x-tenant"] == "a"
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["user-agent"].startswith("otrace/")


def test_nothing_is_sent_when_the_sdk_is_disabled(otrace: Otrace, recording: str) -> None:
    with receiving(always(Answer())) as receiver:
        line = export(otrace, recording, receiver.url, status=0, OTEL_SDK_DISABLED="true")
    assert "OTEL_SDK_DISABLED" in line
    assert receiver.requests == []


def test_a_wrong_endpoint_is_told_before_the_program_starts(otrace: Otrace) -> None:
    otrace.write("app.py", "print('started')\n")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}
    done = otrace("run", "--export", "otlp", "app.py", env=environment, status=2)
    assert done.stdout == ""
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is 'localhost:4318'" in done.stderr


def test_ids_are_unlike_in_each_export(otrace: Otrace, recording: str) -> None:
    with receiving(always(Answer())) as receiver:
        export(otrace, recording, receiver.url, status=0)
        export(otrace, recording, receiver.url, status=0)
    found = [
        (span.trace_id, span.span_id)
        for request in receiver.accepted
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]
    assert len({trace for trace, _ in found}) == 2
    assert len({span for _, span in found}) == len(found) == 2 * SPANS


@contextmanager
def receiving_grpc(
    answer: Callable[[bytes, grpc.ServicerContext], bytes],
) -> Iterator[str]:
    class Service(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_grpc_is_split_tried_again_and_counted(otrace: Otrace, recording: str) -> None:
    asked: list[int] = []
    accepted: list[ExportTraceServiceRequest] = []

    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        request = ExportTraceServiceRequest.FromString(data)
        asked.append(len(spans([request])))
        if len(asked) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        if asked[-1] > 10:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max")
        accepted.append(request)
        assert ("x-tenant", "a") in context.invocation_metadata()
        return b""

    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Tenant=a",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    with receiving_grpc(answer) as url:
        assert f"{SPANS} spans" in export(otrace, recording, url, status=0, **variables)
    assert asked[:2] == [SPANS, SPANS]
    assert len(spans(accepted)) == SPANS


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "OTEL_EXPORTER_OTLP_HEADERS"),
        (grpc.StatusCode.INVALID_ARGUMENT, "it answered INVALID_ARGUMENT: wrong"),
    ],
)
def test_grpc_refusals(otrace: Otrace, recording: str, code: grpc.StatusCode, words: str) -> None:
    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, "wrong")
        return b""

    with receiving_grpc(answer) as url:
        line = export(otrace, recording, url, status=1, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert f"cannot send spans to {url}: " in line
    assert words in line


def test_grpc_without_a_collector(otrace: Otrace, recording: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    line = export(otrace, recording, url, status=1, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert f"cannot send spans to {url}: connection refused" in line


def test_a_server_that_speaks_no_tls(otrace: Otrace, recording: str) -> None:
    with receiving(always(Answer())) as receiver:
        url = receiver.url.replace("http:", "https:")
        line = export(otrace, recording, url, status=1)
    assert f"cannot send spans to {url}/v1/traces: TLS failed: " in line
