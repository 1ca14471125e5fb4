"""Requests that take turns on one event loop, in a real Jaeger: each trace has its own calls."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from jaeger import Jaeger
from test_otlp_requests import SERVER, run, traces_of

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle import from_otlp

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

REQUESTS = 50
# All requests are there before the first goes on; what each call belongs to, it says itself.
PROGRAM = """
import asyncio, socket, threading
from http.client import HTTPConnection
import fastapi, otrace, uvicorn

app = fastapi.FastAPI()
waiting = []
everyone = asyncio.Event()

def leaf(number):
    otrace.log_instant("leaf", number=number)

async def step(number):
    await asyncio.sleep(0.001)
    leaf(number)

async def part(number):
    leaf(number)
    await step(number)

@app.get("/{number}")
async def handle(number: int):
    otrace.log_instant("handle", number=number)
    waiting.append(number)
    if len(waiting) == 50:
        everyone.set()
    await everyone.wait()
    for _ in range(number % 5):
        await step(number)
    await asyncio.gather(*(part(number) for _ in range(number % 3)))
    return number

def fetch(port, number):
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/{number}")
    assert connection.getresponse().read() == b"%d" % number
    connection.close()

listener = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(app, log_level="warning", loop="asyncio", http="h11"))

def clients():
    port = listener.getsockname()[1]
    threads = [threading.Thread(target=fetch, args=(port, number)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.should_exit = True

threading.Thread(target=clients).start()
server.run(sockets=[listener])
"""
ENTRY = "uvicorn.protocols.http.h11_impl.RequestResponseCycle.run_asgi"
Span = dict[str, Any]


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span["name"] == f"__main__.{name}"]


def check_request(spans: list[Span], run_root: Span) -> int:
    """A request's trace, which has its own calls and no others; returns its number."""
    root = spans[0]
    assert (root["name"], root["kind"]) == (ENTRY, SERVER)
    assert root["links"][0]["spanId"] == run_root["spanId"]
    assert from_otlp.attributes(root)["otrace.total.calls"] == len(spans)
    marks = [(span, event) for span in spans for event in span.get("events", [])]
    (number,) = {from_otlp.attributes(event)["number"] for _, event in marks}
    (handle,) = named(spans, "handle")
    parts, steps, leaves = (named(spans, name) for name in ("part", "step", "leaf"))
    assert len(parts) == number % 3
    assert len(steps) == number % 5 + len(parts)
    assert len(leaves) == len(steps) + len(parts)
    assert len(marks) == 1 + len(leaves)
    assert {span["parentSpanId"] for span in parts} <= {handle["spanId"]}
    above = {handle["spanId"], *(span["spanId"] for span in parts)}
    assert {span["parentSpanId"] for span in steps} <= above
    assert all(from_otlp.attributes(span)["otrace.awaits"] == 1 for span in steps)
    return int(number)


def test_requests_that_take_turns(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    service = f"turns-{secrets.token_hex(4)}"
    filters = ("--include", "__main__", "--include", "uvicorn.protocols", "--no-c-calls")
    errors = run(jaeger, tmp_path, service, *filters, "app.py")
    run_trace, found = traces_of(jaeger, service, errors)
    numbers = [check_request(spans, run_trace[0]) for spans in found]
    assert sorted(numbers) == list(range(REQUESTS))
    assert not named(run_trace, "handle") + named(run_trace, "step") + named(run_trace, "leaf")
