"""Requests of real servers in a real Jaeger: each is a trace that holds exactly its own calls."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from jaeger import Jaeger

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle import from_otlp

REQUESTS = 50
SERVER = 2
PROGRAM = """
import sys, threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from wsgiref.simple_server import WSGIRequestHandler, make_server
import otrace

def step(number):
    return number

def work(number):
    otrace.log_instant("request", number=number)
    for at in range(number % 7):
        step(at)
    return b"done %d" % number

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = work(int(self.path[1:]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

def application(environ, start_response):
    start_response("200 OK", [])
    return [work(int(environ["PATH_INFO"][1:]))]

def fetch(port, first):
    connection = HTTPConnection("127.0.0.1", port)
    for number in range(first, 50, 5):
        connection.request("GET", f"/{number}")
        assert connection.getresponse().read() == b"done %d" % number
    connection.close()

if sys.argv[1] == "threads":
    Handler.protocol_version = "HTTP/1.1"  # requests that wait for each other on a connection
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
elif sys.argv[1] == "wsgi":
    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
else:
    server = HTTPServer(("127.0.0.1", 0), Handler)
clients = [threading.Thread(target=fetch, args=(server.server_address[1], at)) for at in range(5)]
serving = threading.Thread(target=server.serve_forever)
for thread in (serving, *clients):
    thread.start()
for client in clients:
    client.join()
server.shutdown()
serving.join()
server.server_close()
"""


def run(jaeger: Jaeger, folder: Path, service: str, *words: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTRACE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "otrace", "run", "--export", "otlp", *words],
        cwd=folder,
        env={
            **environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "OTEL_SERVICE_NAME": service,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def fetch(jaeger: Jaeger, trace_id: str, spans: int) -> list[dict[str, Any]]:
    """A trace's spans, the root first, without a warning of Jaeger's."""
    shown = jaeger.get_trace(trace_id, spans=spans)
    assert [span["warnings"] for span in shown["spans"] if span.get("warnings")] == []
    answer = requests.get(f"{jaeger.query}/api/v3/traces/{trace_id}", timeout=60)
    answer.raise_for_status()
    found = list(from_otlp.spans(answer.json()))
    by_id = {span["spanId"] for span in found}
    (root,) = (span for span in found if span.get("parentSpanId", "") not in by_id)
    assert len(by_id) == len(found) == spans
    return [root, *(span for span in found if span is not root)]


def traces_of(
    jaeger: Jaeger, service: str, errors: str
) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """The run's trace, and those of requests: complete, as otrace says how much it sent."""
    told = re.search(r"([0-9,]+) spans in ([0-9]+) traces", errors)
    assert told is not None, errors
    count = int(told[2])
    found = [
        fetch(jaeger, trace["traceID"], len(trace["spans"]))
        for trace in jaeger.find_traces(service, traces=count)
    ]
    assert len(found) == count
    assert sum(map(len, found)) == int(told[1].replace(",", ""))
    (run_trace,) = (spans for spans in found if spans[0]["name"] == "app.py")
    return run_trace, [spans for spans in found if spans is not run_trace]


@pytest.mark.parametrize(
    ("server", "entry"),
    [
        ("threads", "__main__.Handler.do_GET"),
        ("plain", "__main__.Handler.do_GET"),
        ("wsgi", "wsgiref.handlers.BaseHandler.run"),
    ],
)
def test_each_request_holds_its_own_calls(
    jaeger: Jaeger, tmp_path: Path, server: str, entry: str
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    service = f"requests-{secrets.token_hex(4)}"
    filters = ("--include", "__main__", "--include", "wsgiref", "--no-c-calls")
    errors = run(jaeger, tmp_path, service, *filters, "app.py", server)
    run_trace, found = traces_of(jaeger, service, errors)
    assert len(found) == REQUESTS
    numbers = []
    for spans in found:
        root = spans[0]
        assert (root["name"], root["kind"]) == (entry, SERVER)
        (link,) = root["links"]
        assert (link["traceId"], link["spanId"]) == (
            run_trace[0]["traceId"],
            run_trace[0]["spanId"],
        )
        assert from_otlp.attributes(root)["otrace.total.calls"] == len(spans)
        (work,) = (span for span in spans if span["name"] == "__main__.work")
        (instant,) = work["events"]
        number = from_otlp.attributes(instant)["number"]
        steps = [span for span in spans if span["name"] == "__main__.step"]
        assert len(steps) == number % 7
        assert {span["parentSpanId"] for span in steps} <= {work["spanId"]}
        numbers.append(number)
    assert sorted(numbers) == list(range(REQUESTS))
    # The run's trace has each of them as one span, and none of their calls.
    stubs = {from_otlp.attributes(span).get("otrace.request.trace_id"): span for span in run_trace}
    stubs.pop(None)
    assert set(stubs) == {spans[0]["traceId"] for spans in found}
    for spans in found:
        stub = stubs[spans[0]["traceId"]]
        (link,) = stub["links"]
        assert (link["traceId"], link["spanId"]) == (spans[0]["traceId"], spans[0]["spanId"])
    assert not {"__main__.work", "__main__.step"} & {span["name"] for span in run_trace}


JOBS = """
def part(number):
    if number == 3:
        raise KeyError(number)

def job(number):
    for at in range(number):
        part(at)

def nested():
    job(2)

for number in range(3):
    job(number)
nested()
try:
    job(4)
except KeyError:
    pass
"""


def test_functions_of_the_users_own_are_requests(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(JOBS)
    service = f"jobs-{secrets.token_hex(4)}"
    option = ("--exporter-option", "otlp.request=*.job,*.nested")
    words = ("--include", "__main__", "--no-c-calls", *option, "app.py")
    errors = run(jaeger, tmp_path, service, *words)
    _, found = traces_of(jaeger, service, errors)
    names = sorted([span["name"].removeprefix("__main__.") for span in spans] for spans in found)
    assert names == [
        ["job"],
        ["job", "part"],
        ["job", "part", "part"],
        ["job", "part", "part", "part", "part"],
        ["nested", "job", "part", "part"],
    ]
    (failed,) = (spans[0] for spans in found if len(spans) == 5)
    assert from_otlp.is_error(failed)
