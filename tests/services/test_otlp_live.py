"""A server's spans are in a real Jaeger while it still runs; the rest comes when it ends."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jaeger import Jaeger, wait_for
from test_otlp_requests import fetch

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle import from_otlp

WAIT_S = 60
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def step(number):
    return number

def work(number):
    for at in range(number):
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

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def serving(
    jaeger: Jaeger, folder: Path, service: str, *options: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The server under `otrace run`, and its port."""
    (folder / "app.py").write_text(SERVER)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTRACE_"))}
    words = ("--include", "__main__", "--no-c-calls", "--export", "otlp", *options, "app.py")
    process = subprocess.Popen(
        [sys.executable, "-m", "otrace", "run", *words],
        cwd=folder,
        env={
            **environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "OTEL_SERVICE_NAME": service,
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def get(port: int, number: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=WAIT_S) as answer:
        assert answer.read() == b"done %d" % number


def requests_in(jaeger: Jaeger, service: str, count: int) -> list[int]:
    """How many steps each request's trace holds, once there are so many; each is complete."""

    def ask() -> list[int] | None:
        found = [
            trace
            for trace in jaeger.find_traces(service)
            if any(span["operationName"].endswith(".do_GET") for span in trace["spans"])
            and not any(span["operationName"] == "app.py" for span in trace["spans"])
        ]
        if len(found) < count:
            return None
        for trace in found:
            spans = fetch(jaeger, trace["traceID"], len(trace["spans"]))
            assert from_otlp.attributes(spans[0])["otrace.total.calls"] == len(spans)
        return sorted(
            sum(span["operationName"] == "__main__.step" for span in trace["spans"])
            for trace in found
        )

    return wait_for(ask, f"{count} requests of {service}", WAIT_S)


def end(process: subprocess.Popen[str], number: int, *, group: bool) -> tuple[int, str, str]:
    (os.killpg if group else os.kill)(process.pid, number)
    output, errors = process.communicate(timeout=WAIT_S)
    return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_finished_requests_are_there_while_the_server_runs(
    jaeger: Jaeger, tmp_path: Path, number: signal.Signals
) -> None:
    service = f"live-{secrets.token_hex(4)}"
    every = ("--exporter-option", "otlp.interval=200ms", "--exporter-option", "otlp.window=1s")
    with serving(jaeger, tmp_path, service, *every) as (process, port):
        for steps in range(5):
            get(port, steps)
        assert requests_in(jaeger, service, 5) == [0, 1, 2, 3, 4]
        get(port, 7)
        assert requests_in(jaeger, service, 6) == [0, 1, 2, 3, 4, 7]
        assert process.poll() is None
        get(port, 9)
        status, output, errors = end(process, number, group=number == signal.SIGINT)
    assert (status, output) == ((0, "interrupted\n") if number == signal.SIGINT else (-15, ""))
    assert requests_in(jaeger, service, 7) == [0, 1, 2, 3, 4, 7, 9]
    told = re.search(r"([0-9,]+) spans in ([0-9,]+) traces", errors)
    assert told is not None, errors
    traces = jaeger.find_traces(service, traces=int(told[2].replace(",", "")))
    assert len(traces) == int(told[2].replace(",", ""))
    shown = [fetch(jaeger, trace["traceID"], len(trace["spans"])) for trace in traces]
    assert sum(map(len, shown)) == int(told[1].replace(",", ""))
    (run,) = (spans for spans in shown if len(spans) == 1 and spans[0]["name"] == "app.py")
    facts = from_otlp.attributes(run[0])
    if number == signal.SIGINT:
        assert facts["process.exit.code"] == 0
    else:
        assert facts["otrace.exit.signal"] == "SIGTERM"
    calls = sum(from_otlp.attributes(s[0])["otrace.total.calls"] for s in shown if s is not run)
    assert facts["otrace.total.calls"] == calls
    for spans in shown:
        if spans is not run:
            (link,) = spans[0]["links"]
            assert (link["traceId"], link["spanId"]) == (run[0]["traceId"], run[0]["spanId"])
    ways = {"process.exit.code", "otrace.exit.signal"}
    assert [spans for spans in shown if ways & from_otlp.attributes(spans[0]).keys()] == [run]
    names = [span["name"] for spans in shown for span in spans]
    assert names.count("__main__.<module>") == 1
    # Once in its own trace, once for it in the window's, and one for the thread that it ran in.
    assert names.count("__main__.Handler.do_GET") == 14
    assert names.count("__main__.work") == 7


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def test_a_killed_sender_does_no_harm(jaeger: Jaeger, tmp_path: Path) -> None:
    service = f"killed-{secrets.token_hex(4)}"
    every = ("--exporter-option", "otlp.interval=200ms")
    with serving(jaeger, tmp_path, service, *every) as (process, port):
        get(port, 1)
        requests_in(jaeger, service, 1)
        sender = max(children_of(process.pid))  # the youngest
        os.kill(sender, signal.SIGKILL)
        get(port, 2)
        status, output, errors = end(process, signal.SIGINT, group=True)
    assert (status, output) == (0, "interrupted\n")
    assert re.search(r"spans in [0-9]+ traces", errors), errors  # all was sent afterwards
    assert requests_in(jaeger, service, 3) == [1, 1, 2]


def test_nothing_is_sent_early_unless_it_is_wanted(jaeger: Jaeger, tmp_path: Path) -> None:
    service = f"late-{secrets.token_hex(4)}"
    with serving(jaeger, tmp_path, service, "--exporter-option", "otlp.interval=0s") as started:
        process, port = started
        get(port, 1)
        assert len(children_of(process.pid)) == 2  # the program and the witness of signals
        status, _, errors = end(process, signal.SIGINT, group=True)
    assert status == 0
    assert "spans in 2 traces" in errors
    assert requests_in(jaeger, service, 1) == [1]
