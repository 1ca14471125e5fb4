"""OTLP receivers for tests, which answer as they are told."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Answer:
    """What the receiver says to one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """An OTLP/HTTP receiver that answers as a function of the request and its number says."""

    answer: Callable[[int, ExportTraceServiceRequest], Answer | None]
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    accepted: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


def spans(requests: list[ExportTraceServiceRequest]) -> list[str]:
    return [
        span.name
        for request in requests
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]


@contextmanager
def receiving(
    answer: Callable[[int, ExportTraceServiceRequest], Answer | None],
    port: int = 0,
) -> Iterator[Receiver]:
    """Receive on the port; 0: on any."""
    receiver = Receiver(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            request = ExportTraceServiceRequest.FromString(data)
            receiver.requests.append(request)
            receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
            found = receiver.answer(len(receiver.requests), request)
            if found is None:  # no answer at all
                self.close_connection = True
                return
            if found.status == 200:
                receiver.accepted.append(request)
            self.send_response(found.status)
            for key, value in found.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def always(*answers: Answer | None) -> Callable[[int, ExportTraceServiceRequest], Answer | None]:
    """The answers in turn; the last one for ever."""
    return lambda number, request: answers[min(number, len(answers)) - 1]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
