"""Mixed requests to a FastAPI service with the span processor: nothing leaks, nothing is lost.

    python tests/services/soak_service.py --requests 10000 [--mode recorder]

Errors, timeouts, cancelled tasks, threads, and clients that go away. A receiver that parses every
request with the published protobuf classes holds what arrives: each span's parent must be there.
Memory, descriptors and threads of the service must not grow in the second half. Each request (in
the mode `recorder`: each failed one) is captured, or counted as suppressed or skipped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

KINDS = ("quick", "error", "timeout", "cancel", "thread", "leave")
GROWTH_MOST_KIB = 8 * 1024
CLIENTS = 4


# ---- the service


def serve(port: int, mode: Literal["always", "recorder"]) -> None:
    """Until SIGTERM; says on stdout what it uses when asked for /usage."""
    import uvicorn
    from fastapi import FastAPI
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from otrace.otel import OtraceSpanProcessor, stats

    provider = TracerProvider()
    batches = BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=100_000)
    processor = OtraceSpanProcessor(batches, mode=mode, slow=None, overhead=0, include=["__main__"])
    provider.add_span_processor(processor)
    app = FastAPI()
    add_routes(app)

    @app.get("/usage")
    def usage() -> dict[str, int]:
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        files = len(os.listdir("/proc/self/fd"))
        memory = int(status["RssAnon"].split()[0])
        return {"KiB": memory, "files": files, "threads": int(status["Threads"]), **stats()}

    @app.get("/usage/in-the-end")
    def in_the_end() -> dict[str, int]:
        processor.force_flush()
        return usage()

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls="usage")
    logging.getLogger("uvicorn.error").addFilter(lambda record: "boom" not in str(record.exc_info))
    uvicorn.run(app, port=port, log_level="warning")


def add_routes(app: Any) -> None:
    """One for each kind of request."""

    @app.get("/quick")
    async def quick() -> int:
        return work(3)

    @app.get("/error")
    async def error() -> int:
        work(2)
        raise ValueError("boom")

    @app.get("/timeout")
    async def timeout() -> str:
        try:
            await asyncio.wait_for(wait(60), 0.002)
        except TimeoutError:
            return "late"
        return ""

    @app.get("/cancel")
    async def cancel() -> str:
        tasks = [asyncio.create_task(wait(60)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return "cancelled"

    @app.get("/thread")
    def thread() -> int:
        return work(4)

    @app.get("/leave")
    async def leave() -> str:
        await wait(0.005)
        return "x" * 200_000


def work(times: int) -> int:
    return sum(part(number) for number in range(times))


def part(number: int) -> int:
    return number


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds)


# ---- the clients


def ask(port: int, kind: str) -> int:
    """One request; its status, 0 for one that was left."""
    if kind == "leave":
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /leave HTTP/1.1\r\nHost: x\r\n\r\n")
        return 0
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{kind}", timeout=30) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def usage_of(port: int, when: str = "") -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/usage{when}", timeout=60) as answer:
        found: dict[str, int] = json.load(answer)
        return found


def triggers_of(found: dict[str, int]) -> int:
    return found["captured"] + found["suppressed"] + found["skipped"]


def wait_for_all(port: int, triggers: int) -> dict[str, int]:
    """The counters once all is sent: requests that their clients left may still have run."""
    deadline = time.monotonic() + 30
    while True:
        found = usage_of(port, "/in-the-end")
        if triggers_of(found) >= triggers or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def orphans(requests: list[Any]) -> tuple[int, list[str]]:
    """How many spans arrived, and the names of those whose parent did not."""
    known: set[tuple[bytes, bytes]] = set()
    spans = [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    for span in spans:
        assert (span.trace_id, span.span_id) not in known, "a span came twice"
        known.add((span.trace_id, span.span_id))
    lost = [
        s.name for s in spans if s.parent_span_id and (s.trace_id, s.parent_span_id) not in known
    ]
    return len(spans), lost


def soak(count: int, mode: str, told: Callable[[dict[str, Any]], object]) -> None:
    """All requests, in ten parts; then the service ends, and what arrived is looked at."""
    from integration.otlp_receiver import Answer, always, free_port, receiving

    port = free_port()
    with receiving(always(Answer())) as receiver:
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        service = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(port), "--mode", mode],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while service.poll() is None:
                try:
                    usage_of(port)
                    break
                except urllib.error.URLError:
                    time.sleep(0.05)
            samples = [drive(port, count // 10, told) for _ in range(10)]
            kinds = [KINDS[number % len(KINDS)] for number in range(count // 10)] * 10
            triggers = len(kinds) if mode == "always" else kinds.count("error")
            in_the_end = wait_for_all(port, triggers)
        finally:
            service.terminate()
            _, errors = service.communicate(timeout=60)
        spans, lost = orphans(receiver.accepted)
    told({"spans": spans, "orphans": Counter(lost), "errors": errors})
    assert not lost
    assert errors == ""
    check(samples)
    check_counters(in_the_end, triggers)


def drive(port: int, count: int, told: Callable[[dict[str, Any]], object]) -> dict[str, int]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        kinds = [KINDS[number % len(KINDS)] for number in range(count)]
        statuses = Counter(pool.map(lambda kind: ask(port, kind), kinds))
    assert set(statuses) <= {0, 200, 500}
    assert statuses[500] == kinds.count("error")
    sample = usage_of(port)
    told(sample)
    return sample


def check(samples: list[dict[str, int]]) -> None:
    """Nothing grows from the middle on, nothing was dropped."""
    middle, last = samples[len(samples) // 2], samples[-1]
    assert last["KiB"] - middle["KiB"] <= GROWTH_MOST_KIB, samples
    assert abs(last["files"] - middle["files"]) <= CLIENTS, samples
    assert last["threads"] <= middle["threads"] + CLIENTS, samples
    assert last["dropped"] == 0


def check_counters(found: dict[str, int], triggers: int) -> None:
    """No trigger is lost without a word, and no span of a call."""
    assert triggers_of(found) == triggers, found
    assert found["encoded"] == found["sent"] + found["dropped"], found


def main() -> None:
    """The command line: one JSON line a tenth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--serve", type=int)
    parser.add_argument("--mode", choices=["always", "recorder"], default="always")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.mode)
    else:
        soak(arguments.requests, arguments.mode, lambda found: print(json.dumps(found), flush=True))


if __name__ == "__main__":
    main()
