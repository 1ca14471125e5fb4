"""What a real Jaeger shows of a program, over both protocols."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from jaeger import Jaeger

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle import from_otlp

TIMEOUT_S = 120
TYPES_ARE_TOLD = sys.version_info >= (3, 12)  # the profile hook of 3.11 does not know them
ONLY_MAIN = ("--include", "__main__", "--no-c-calls")

PROGRAM = """
import threading
import otrace

def inner():
    raise ValueError("no")

def outer():
    try:
        inner()
    except ValueError:
        pass

def load():
    with otrace.log_event("load", {"db.rows": 3}, table="t", flag=True, part=0.5) as event:
        otrace.log_instant("miss", key="k")
        outer()
        event.set(bytes=10)

def work():
    load()
    raise KeyError("gone")

threading.excepthook = lambda arguments: None
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
load()
raise SystemExit(3)
"""


class Shown:
    """A trace as Jaeger's query API gives it."""

    def __init__(self, jaeger: Jaeger, trace_id: str, count: int) -> None:
        legacy = jaeger.get_trace(trace_id, spans=count)
        assert [span["warnings"] for span in legacy["spans"] if span.get("warnings")] == []
        answer = requests.get(f"{jaeger.query}/api/v3/traces/{trace_id}", timeout=60)
        answer.raise_for_status()
        self.document: dict[str, Any] = answer.json()
        self.spans = list(from_otlp.spans(self.document))
        self.by_id = {span["spanId"]: span for span in self.spans}
        assert len(self.spans) == count == len(self.by_id)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]

    def parent(self, span: dict[str, Any]) -> dict[str, Any]:
        return self.by_id[span["parentSpanId"]]

    def root(self) -> dict[str, Any]:
        (root,) = (span for span in self.spans if span.get("parentSpanId", "") not in self.by_id)
        return root

    def path(self, span: dict[str, Any]) -> list[str]:
        names = [span["name"]]
        while span.get("parentSpanId", "") in self.by_id:
            span = self.parent(span)
            names.append(span["name"])
        return names[::-1]

    def resources(self) -> list[dict[str, Any]]:
        return [from_otlp.attributes(part["resource"]) for part in self.parts()]

    def parts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["result"]["resourceSpans"]
        return found


def run(
    folder: Path, environment: dict[str, str], *words: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACE"))}
    done = subprocess.run(
        [sys.executable, "-m", "otrace", *words],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def show(jaeger: Jaeger, errors: str) -> Shown:
    found = re.search(r"([0-9,]+) spans in trace ([0-9a-f]{32})", errors)
    assert found is not None, errors
    return Shown(jaeger, found[2], int(found[1].replace(",", "")))


def http(jaeger: Jaeger) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http}


def grpc(jaeger: Jaeger) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_grpc, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}


@pytest.fixture(params=[http, grpc], ids=["http", "grpc"])
def environment(jaeger: Jaeger, request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = request.param(jaeger)
    return found


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_program_is_one_trace(
    jaeger: Jaeger, environment: dict[str, str], compression: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    environment = {
        **environment,
        "OTEL_SERVICE_NAME": f"shop-{compression}",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test%20bed,service.name=other",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": compression,
    }
    words = ("run", *ONLY_MAIN, "--export", "otlp", "app.py")
    trace = show(jaeger, run(tmp_path, environment, *words, status=3).stderr)
    from_otlp.load(trace.document)  # children lie inside their parents

    root = trace.root()
    assert root["name"] == "app.py"
    assert from_otlp.attributes(root)["process.exit.code"] == 3
    assert from_otlp.is_error(root)
    (resource,) = trace.resources()
    assert resource["service.name"] == f"shop-{compression}"
    assert resource["deployment.environment.name"] == "test bed"
    assert resource["process.runtime.name"] == "cpython"
    assert resource["host.name"]
    assert resource["service.instance.id"]
    (scope,) = (scope["scope"] for part in trace.parts() for scope in part["scopeSpans"])
    assert scope["name"] == "otrace"

    main, worker = ("app.py", "MainThread", "__main__.<module>"), ("app.py", "worker")
    below = ("__main__.load", "load", "__main__.outer", "__main__.inner")
    work = (*worker, "__main__.work")
    expected = [main[:1], main[:2], main, worker, work, (*worker, "__main__.<lambda>")]
    expected += [(*above, *below[:length]) for above in (main, work) for length in range(1, 5)]
    assert sorted(tuple(trace.path(span)) for span in trace.spans) == sorted(expected)


def test_events_instants_and_exceptions_are_where_they_happened(
    jaeger: Jaeger, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    words = ("run", *ONLY_MAIN, "--export", f"otlp={jaeger.otlp_http}", "app.py")
    trace = show(jaeger, run(tmp_path, {}, *words, status=3).stderr)

    for event in trace.named("load"):
        facts = from_otlp.attributes(event)
        given = {"db.rows": 3, "table": "t", "flag": True, "part": 0.5, "bytes": 10}
        assert {key: facts.get(key) for key in given} == given
        (instant,) = event["events"]
        assert (instant["name"], from_otlp.attributes(instant)) == ("miss", {"key": "k"})
    assert len(trace.named("load")) == 2
    for inner in trace.named("__main__.inner"):
        (event,) = inner["events"]
        assert event["name"] == "exception"
        assert from_otlp.attributes(event) == exception("ValueError")
        assert not from_otlp.is_error(inner)
        facts = from_otlp.attributes(inner)
        assert facts["code.function.name"] == "__main__.inner"
        assert facts["code.file.path"].endswith("app.py")
        assert facts["code.line.number"] == 5
        assert facts["thread.name"] in ("MainThread", "worker")
    (work,) = trace.named("__main__.work")
    (event,) = work["events"]
    assert from_otlp.attributes(event) == exception("KeyError")
    errors = {span["name"] for span in trace.spans if from_otlp.is_error(span)}
    assert "app.py" in errors
    assert "__main__.<module>" not in errors  # SystemExit is no error of the code


def exception(name: str) -> dict[str, Any]:
    return {"exception.type": name} if TYPES_ARE_TOLD else {}


def test_an_uncaught_exception_marks_where_it_left(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def f():\n    raise LookupError\n\nf()\n")
    words = ("run", "--include", "__main__", "--export", "otlp", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words, status=1).stderr)
    errors = {span["name"] for span in trace.spans if from_otlp.is_error(span)}
    left = {"MainThread", "__main__.<module>"} if TYPES_ARE_TOLD else set()
    assert errors == {"app.py", *left}
    (module,) = trace.named("__main__.<module>")
    told = "LookupError" if TYPES_ARE_TOLD else "unknown"
    assert from_otlp.attributes(module)["otrace.exception"] == told
    (raised,) = trace.named("__main__.f")
    assert [event["name"] for event in raised["events"]] == ["exception"]


def test_the_run_joins_the_trace_it_was_started_in(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('hello')\n")
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    send_parent(jaeger, trace_id, span_id)
    environment = {
        **http(jaeger),
        "TRACEPARENT": f"00-{trace_id}-{span_id}-01",
        "TRACESTATE": "vendor=x",
    }
    run(tmp_path, environment, "run", *ONLY_MAIN, "-o", "app.otrace", "app.py")
    # What counts is what the program was started with, whenever and wherever it is exported.
    environment["TRACEPARENT"] = f"00-{secrets.token_hex(16)}-{span_id}-01"
    done = run(tmp_path, environment, "export", "app.otrace", "--to", "otlp")
    assert f"in trace {trace_id}" in done.stderr
    found = re.search(r"([0-9]+) spans in trace", done.stderr)
    assert found is not None
    trace = Shown(jaeger, trace_id, int(found[1]) + 1)
    (run_root,) = trace.named("app.py")
    assert trace.path(run_root) == ["launcher", "app.py"]
    ours = [span for span in trace.spans if span["name"] != "launcher"]
    assert {span.get("traceState") for span in ours} == {"vendor=x"}


OTHER_PARENT = """
import os, subprocess, sys

os.environ["TRACEPARENT"] = sys.argv[1]
subprocess.run([sys.executable, "-c", "def child(): pass\\nchild()"], check=True)
"""


def test_a_child_is_linked_to_the_span_it_was_given(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(OTHER_PARENT)
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    given = f"00-{trace_id}-{span_id}-01"
    words = ("run", *ONLY_MAIN, "--export", "otlp", "app.py", given)
    trace = show(jaeger, run(tmp_path, http(jaeger), *words).stderr)
    (child,) = trace.named("__main__.child")
    process = trace.parent(trace.parent(trace.parent(child)))
    (link,) = process["links"]
    assert (link["traceId"], link["spanId"]) == (trace_id, span_id)
    assert not trace.root().get("links")


def send_parent(jaeger: Jaeger, trace_id: str, span_id: str) -> None:
    """The span that the run is to be joined to, from another service."""
    now = time.time_ns()
    span = {
        "traceId": trace_id,
        "spanId": span_id,
        "name": "launcher",
        "kind": 1,
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 60_000_000_000),
    }
    facts = {
        "attributes": [
            {"key": "service.name", "value": {"stringValue": "launcher"}},
            {"key": "host.name", "value": {"stringValue": "elsewhere"}},
        ]
    }
    request = {"resourceSpans": [{"resource": facts, "scopeSpans": [{"spans": [span]}]}]}
    url = f"{jaeger.otlp_http}/v1/traces"
    requests.post(url, json=request, timeout=60).raise_for_status()


REPEATS = """
def leaf(n):
    return n

def branch(n):
    for i in range(n):
        leaf(i)

def deep(n):
    return n and deep(n - 1)

for n in range(100, 140):
    branch(n)
deep({depth})
"""
BRANCHES, LEAVES = 40, sum(range(100, 140))


def test_over_the_budget_every_call_is_accounted_for(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(REPEATS.format(depth=20))
    words = ("run", *ONLY_MAIN, "--export", "otlp", "--max-spans", "200", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words).stderr)
    from_otlp.load(trace.document)
    assert len(trace.spans) <= 200
    ours = [span for span in trace.spans if "code.function.name" in from_otlp.attributes(span)]
    facts = [from_otlp.attributes(span) for span in ours]
    single = sum(1 for fact in facts if "otrace.collapsed.count" not in fact)
    collapsed = sum(fact.get("otrace.collapsed.count", 0) for fact in facts)
    left_out = sum(from_otlp.attributes(s).get("otrace.left_out", 0) for s in trace.spans)
    totals = from_otlp.attributes(trace.root())
    assert single + collapsed + left_out == 1 + BRANCHES + LEAVES + 21
    assert totals["otrace.total.calls"] == single + collapsed + left_out
    assert totals["otrace.total.collapsed"] == collapsed > 1000
    assert totals["otrace.total.left_out"] == left_out
    assert len(trace.named("__main__.branch")) > 30  # the longest
    runs = [span for span in trace.named("__main__.leaf") if is_collapsed(span)]
    assert runs
    assert {trace.parent(span)["name"] for span in runs} == {"__main__.branch"}
    for span in runs:
        total = from_otlp.attributes(span)["otrace.collapsed.total_ns"]
        assert 0 < total <= int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])


def is_collapsed(span: dict[str, Any]) -> bool:
    return "otrace.collapsed.count" in from_otlp.attributes(span)


def test_within_the_budget_nothing_is_collapsed(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(REPEATS.format(depth=300))
    words = ("run", *ONLY_MAIN, "--export", "otlp", "--max-spans", "20000", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words).stderr)
    assert not any(is_collapsed(span) for span in trace.named("__main__.leaf"))
    assert len(trace.named("__main__.leaf")) == LEAVES
    assert len(trace.named("__main__.deep")) == 255  # with <module> that is max_depth
    left_out = [from_otlp.attributes(span).get("otrace.left_out") for span in trace.spans]
    assert [number for number in left_out if number is not None] == [301 - 255]
    assert from_otlp.attributes(trace.root())["otrace.total.left_out"] == 301 - 255


CHILDREN = """
import subprocess, sys

def start():
    subprocess.run([sys.executable, "-c", "def child(): pass\\nchild()"], check=True)

start()
"""


def test_a_child_process_is_below_the_call_that_waited_for_it(
    jaeger: Jaeger, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(CHILDREN)
    words = ("run", *ONLY_MAIN, "--export", "otlp", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words).stderr)
    (child,) = trace.named("__main__.child")
    path = trace.path(child)
    assert path[:4] == ["app.py", "MainThread", "__main__.<module>", "__main__.start"]
    assert path[-3:] == ["MainThread", "__main__.<module>", "__main__.child"]
    assert len({resource["process.pid"] for resource in trace.resources()}) == 2
    assert len({resource["service.name"] for resource in trace.resources()}) == 1


WINDOWS = """
import time

def step(until):
    while time.monotonic() < until:
        pass

begin = time.monotonic()
for number in range(1, 9):
    step(begin + number * 0.05)
"""


def test_a_long_run_is_several_traces(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WINDOWS)
    service = f"long-{secrets.token_hex(4)}"
    option = ("--exporter-option", "otlp.window=100ms")
    environment = {**http(jaeger), "OTEL_SERVICE_NAME": service}
    words = ("run", *ONLY_MAIN, "--export", "otlp", *option, "app.py")
    done = run(tmp_path, environment, *words)
    found = re.search(r"([0-9]+) spans in ([0-9]+) traces", done.stderr)
    assert found is not None, done.stderr
    spans, count = int(found[1]), int(found[2])
    assert count >= 4
    traces = [
        Shown(jaeger, trace["traceID"], len(trace["spans"]))
        for trace in jaeger.find_traces(service, traces=count)
    ]
    assert sum(len(trace.spans) for trace in traces) == spans
    assert sum(len(trace.named("__main__.step")) for trace in traces) == 8
    (run_trace,) = (t for t in traces if t.named("__main__.<module>"))
    run_root = run_trace.root()
    for trace in traces:
        from_otlp.load(trace.document)
        if trace is not run_trace:
            (link,) = trace.root()["links"]
            assert (link["traceId"], link["spanId"]) == (run_root["traceId"], run_root["spanId"])
            (module,) = run_trace.named("__main__.<module>")
            for thread in trace.named("MainThread"):  # its work goes on inside the module
                (link,) = thread["links"]
                assert (link["traceId"], link["spanId"]) == (module["traceId"], module["spanId"])


OVERFLOW = """
def leaf(i):
    return i

def main():
    for i in range(300_000):
        leaf(i)

main()
"""


def test_what_a_full_buffer_lost_is_told(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(OVERFLOW)
    words = ("run", *ONLY_MAIN, "--buffer-size", "1MiB", "--export", "otlp", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words).stderr)
    from_otlp.load(trace.document)
    root = from_otlp.attributes(trace.root())
    assert root["otrace.lost.calls"] > 100_000
    assert root["otrace.total.calls"] + root["otrace.lost.calls"] == 1 + 1 + 300_000
    (thread,) = trace.named("MainThread")
    facts = from_otlp.attributes(thread)
    assert facts["otrace.lost.calls"] == root["otrace.lost.calls"]
    assert 0 <= facts["otrace.lost.start_ns"] < facts["otrace.lost.end_ns"]
    for name in ("__main__.<module>", "__main__.main"):
        (span,) = trace.named(name)
        assert from_otlp.attributes(span)["otrace.cut"] is True
    (main,) = trace.named("__main__.main")
    assert {trace.parent(span)["name"] for span in trace.named("__main__.leaf")} == {main["name"]}


KILLED = """
import os, signal

def inside():
    os.kill(os.getpid(), signal.SIGKILL)

inside()
"""


def test_a_killed_program_is_sent_with_what_was_open(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(KILLED)
    words = ("run", *ONLY_MAIN, "--export", "otlp", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words, status=-9).stderr)
    from_otlp.load(trace.document)
    root = trace.root()
    assert from_otlp.attributes(root)["otrace.exit.signal"] == "SIGKILL"
    assert from_otlp.is_error(root)
    for name in ("__main__.<module>", "__main__.inside"):
        (span,) = trace.named(name)
        assert from_otlp.attributes(span)["otrace.open"] is True


FORKED = """
import os

def child(n):
    return n

def parent(n):
    pid = os.fork()
    if pid == 0:
        child(n)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

for n in range(3):
    parent(n)
"""


def test_forked_children_are_in_the_trace_of_the_run(jaeger: Jaeger, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FORKED)
    words = ("run", *ONLY_MAIN, "--export", "otlp", "app.py")
    trace = show(jaeger, run(tmp_path, http(jaeger), *words).stderr)
    above = ["app.py", "MainThread", "__main__.<module>", "__main__.parent"]
    children = trace.named("__main__.child")
    assert len(children) == 3
    for child in children:
        assert trace.path(child)[:4] == above
    waiting = {span["parentSpanId"] for span in trace.spans if trace.path(span)[:-1] == above}
    assert len(waiting) == 3  # each child below the call that waited for it
    assert len({resource["process.pid"] for resource in trace.resources()}) == 4
