"""What the servers of test_servers.py serve: an application in each of the usual forms.

Each request makes a span of its own where SERVED_SETUP asks for the processor, calls a few
functions, and appends what it did to $SERVED_TRUTH: {"pid", "trace", "calls"}. Nothing of otrace
takes part in that.

SERVED_SETUP: `import` when this module is loaded, `first` at a process's first request, or unset.
"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

IMPORTED = "/import/1"
NAMES: ContextVar[list[str]] = ContextVar("names")


def work(times: int) -> None:
    NAMES.get().append("work")
    for _ in range(times):
        step()


def step() -> None:
    NAMES.get().append("step")


def set_up() -> Any:
    """The provider, as a service has it; every request is kept."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from otrace.otel import OtraceSpanProcessor

    made = TracerProvider()
    batches = BatchSpanProcessor(OTLPSpanExporter())
    made.add_span_processor(
        OtraceSpanProcessor(batches, mode="always", include=["served"], overhead=0)
    )
    return made


provider = set_up() if os.environ.get("SERVED_SETUP") == "import" else None


def handle(path: str) -> str:
    """One request. Its answer is the process that handled it."""
    global provider
    if provider is None and os.environ.get("SERVED_SETUP") == "first":
        provider = set_up()
    names: list[str] = []
    NAMES.set(names)
    times = int(path.rpartition("/")[2] or 0)
    tracer = provider.get_tracer("served") if provider else None
    span = tracer.start_as_current_span("request") if tracer else nullcontext()
    with span as current:
        work(times)
        trace = f"{current.get_span_context().trace_id:032x}" if current else ""
    tell({"pid": os.getpid(), "trace": trace, "calls": names, "import": path == IMPORTED})
    return str(os.getpid())


def tell(what: dict[str, Any]) -> None:
    with open(os.environ["SERVED_TRUTH"], "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


tell({"loaded": os.getpid()})
if provider is not None:
    handle(IMPORTED)  # before a fork: no child sends it once more


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [handle(environ["PATH_INFO"]).encode()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
    body = handle(scope["path"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
