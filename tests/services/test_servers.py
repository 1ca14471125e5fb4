"""Servers with the span processor inside, and servers that `otrace run` looks at from outside.

Each is run plainly, too: it ends with the same status and words, and leaves nothing behind.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from integration.otlp_receiver import Answer, Receiver, always, free_port, receiving
from servers import SERVERS, Ended, Running

for needed in ("gunicorn", "uvicorn", "uvicorn_worker", "hypercorn", "flask", "django", "celery"):
    pytest.importorskip(needed)

ALL = os.environ.get("OTRACE_ALL_SERVERS") == "1"
NAMES = [
    name
    for name, server in SERVERS.items()
    if (ALL or server.often) and ("uwsgi" not in name or Path(server.command[0]).exists())
]
FROM_OUTSIDE = (
    *(sys.executable, "-m", "otrace", "run", "-q", "--include", "served", "--no-c-calls"),
    *("--export", "otlp", "--exporter-option", "otlp.interval=1s"),
)


def run(name: str, folder: Path, *before: str, **extra: str) -> Ended:
    """The whole life of a server."""
    server = Running(SERVERS[name], free_port(), folder, before, **extra)
    try:
        server.ask()
        return server.end()
    finally:
        server.kill()


def traces_of(receiver: Receiver) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for request in receiver.accepted:
        for part in request.resource_spans:
            for scope in part.scope_spans:
                for span in scope.spans:
                    found.setdefault(span.trace_id.hex(), []).append(span)
    return found


def orphans(spans: list[Any]) -> list[str]:
    known = {b"", *(span.span_id for span in spans)}
    return [span.name for span in spans if span.parent_span_id not in known]


def check_end(ended: Ended, plain: Ended) -> None:
    assert ended.left == plain.left == []
    assert ended.words == plain.words
    assert ended.status == plain.status


@pytest.mark.parametrize("setup", ["import", "first"] if ALL else ["import"])
@pytest.mark.parametrize("name", NAMES)
def test_the_processor_inside(name: str, setup: str, tmp_path: Path) -> None:
    """Set up when the application is loaded, before a fork where the server forks then.

    Or at the first request: not where that has a thread, which can set no handler for SIGTERM, nor
    with uWSGI, which runs no exit handlers while the request is not quite over.
    """
    if setup == "first" and name in {"flask", "django", "uwsgi"}:
        pytest.skip("it does not end in order then")
    plain = run(name, tmp_path / "plain")
    with receiving(always(Answer())) as receiver:
        ended = run(
            name,
            tmp_path / "with",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            OTRACE_SESSION_DIR=str(tmp_path),
            SERVED_SETUP=setup,
        )
    traces = traces_of(receiver)
    spans = [span.span_id for trace in traces.values() for span in trace]
    assert len(set(spans)) == len(spans), "a child sent what was its parent's"
    requests = [told for told in ended.truth if "calls" in told]
    assert len(requests) > 1
    for told in requests:
        trace = traces.pop(told["trace"])
        expected = Counter(["request", *(f"served.{call}" for call in told["calls"])])
        assert Counter(span.name for span in trace) == expected
        assert orphans(trace) == []
    assert not traces
    assert not list(tmp_path.glob("*.otrace")), "a ring was left behind"
    check_end(ended, plain)


@pytest.mark.parametrize("name", NAMES)
def test_from_outside(name: str, tmp_path: Path) -> None:
    plain = run(name, tmp_path / "plain")
    with receiving(always(Answer())) as receiver:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        ended = run(name, tmp_path / "with", *FROM_OUTSIDE, **extra)
    traces = traces_of(receiver)
    seen = Counter(span.name for spans in traces.values() for span in spans)
    calls = [call for told in ended.truth if "calls" in told for call in told["calls"]]
    assert {name: seen[f"served.{name}"] for name in ("work", "step")} == Counter(calls)
    assert [found for spans in traces.values() for found in orphans(spans)] == []
    assert not list((tmp_path / "with").rglob("*.otrace")), "a recording was left behind"
    check_end(ended, plain)
