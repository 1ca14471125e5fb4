"""The examples' two services, a real Jaeger between them: slow requests with all their calls."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from jaeger import Jaeger, _free_ports, wait_for

pytest.importorskip("fastapi")
pytest.importorskip("opentelemetry.instrumentation.flask")
if sys.version_info < (3, 12):
    pytest.skip("the witness needs sys.monitoring", allow_module_level=True)

RUNNER = Path(__file__).parent / "run_service.py"
Tree = tuple[str, tuple[Any, ...]]


class Services:
    """Shop (Flask) and stock (FastAPI), running."""

    def __init__(self, folder: Path, jaeger: Jaeger, stack: ExitStack) -> None:
        self.shop_port, self.stock_port = _free_ports(2)
        self.truths = {name: folder / f"{name}.json" for name in ("shop", "stock")}
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "STOCK": f"http://127.0.0.1:{self.stock_port}",
            "OTRACE_EXCLUDE": "oracle",
        }
        ports = {"shop": self.shop_port, "stock": self.stock_port}
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, str(RUNNER), name, str(port), str(self.truths[name])],
                env=environment,
            )
            for name, port in ports.items()
        }
        for process in self.processes.values():
            stack.callback(process.kill)
        for port in ports.values():
            wait_for(lambda port=port: is_open(port), f"port {port}", 60)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.shop_port}{path}", timeout=20)

    def stop(self) -> dict[str, dict[str, Any]]:
        """Ends both in order; what the witnesses saw."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(30) for process in self.processes.values()] == [0, 0]
        return {name: json.loads(path.read_text()) for name, path in self.truths.items()}


def is_open(port: int) -> bool | None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


@contextmanager
def running(folder: Path, jaeger: Jaeger) -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(folder, jaeger, stack)


def tags_of(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def parent_of(span: dict[str, Any]) -> str | None:
    parents = [one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"]
    return parents[0] if parents else None


def canonical(tree: list[Any]) -> Tree:
    """Siblings in an order of their own: Jaeger knows times in microseconds only."""
    return tree[0], tuple(sorted(canonical(child) for child in tree[1]))


def shown(trace: dict[str, Any], service: str) -> list[Tree]:
    """The trees of a service's local roots in Jaeger."""
    ours = {
        span["spanID"]: span
        for span in trace["spans"]
        if trace["processes"][span["processID"]]["serviceName"] == service
    }
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in ours.values():
        parent = parent_of(span)
        children.setdefault(parent if parent in ours else None, []).append(span)

    def tree(span: dict[str, Any]) -> list[Any]:
        below = children.get(span["spanID"], [])
        return [span["operationName"], [tree(child) for child in below]]

    return [canonical(tree(root)) for root in children[None]]


def difference(seen: list[Tree], expected: list[Tree]) -> list[tuple[str, int]]:
    """Nothing when they are equal; else paths that are there more (or, below 0, less) often."""
    counts: Counter[str] = Counter()
    counts.update(path for tree in seen for path in paths(tree, ""))
    counts.subtract(Counter(path for tree in expected for path in paths(tree, "")))
    found = [(path, count) for path, count in counts.items() if count]
    return found or ([] if sorted(seen) == sorted(expected) else [("another order of parents", 0)])


def paths(tree: Tree, above: str) -> Iterator[str]:
    here = f"{above} > {tree[0]}"
    yield here
    for child in tree[1]:
        yield from paths(child, here)


def complaints(trace: dict[str, Any]) -> list[object]:
    names = {span["spanID"]: span["operationName"] for span in trace["spans"]}
    return [
        (names.get(parent_of(span) or ""), span["operationName"], span["warnings"])
        for span in trace["spans"]
        if span.get("warnings")
    ]


def orphans(trace: dict[str, Any]) -> list[str]:
    ids = {span["spanID"] for span in trace["spans"]}
    return [s["operationName"] for s in trace["spans"] if parent_of(s) not in {None, *ids}]


def test_a_slow_request_across_two_services(tmp_path: Path, jaeger: Jaeger) -> None:
    """Flask in a thread, FastAPI in tasks: the very first request, from its beginning."""
    with running(tmp_path, jaeger) as services:
        assert services.get("/order/3?stock=1").json()["left"] == {"left": 45}
        truths = services.stop()
    [trace_id] = truths["shop"]
    trace = jaeger.get_trace(trace_id, 100)
    for service in ("shop", "stock"):
        expected = [canonical(tree) for tree in truths[service][trace_id]]
        assert difference(shown(trace, service), expected) == []
    assert complaints(trace) == []
    assert orphans(trace) == []
    captured = [span for span in trace["spans"] if tags_of(span).get("otrace.captured")]
    assert {span["operationName"] for span in captured} == {
        "GET /order/<int:things>",
        "GET /stock/{thing}",
    }
    assert {tags_of(span)["otrace.trigger"] for span in captured} == {"slow"}
    assert not any("otrace.lost.ns" in tags_of(span) for span in captured)


def test_failed_ones_are_kept_and_quick_ones_are_not(tmp_path: Path, jaeger: Jaeger) -> None:
    with running(tmp_path, jaeger) as services:
        assert services.get("/order/1").status_code == 200
        assert services.get("/broken").status_code == 500
        assert services.get("/count").status_code == 200
        truths = services.stop()
    quick, broken, counted = (
        next(key for key, trees in truths["shop"].items() if trees[0][0].startswith(f"GET /{name}"))
        for name in ("order", "broken", "count")
    )
    assert {s["operationName"] for s in jaeger.get_trace(quick)["spans"]} == {
        "GET /order/<int:things>",
        "discount",
    }
    trace = jaeger.get_trace(broken, 10)
    assert difference(shown(trace, "shop"), list(map(canonical, truths["shop"][broken]))) == []
    [root] = [span for span in trace["spans"] if parent_of(span) is None]
    assert tags_of(root)["otrace.trigger"] == "error"
    raised = [
        span["operationName"]
        for span in trace["spans"]
        for log in span["logs"]
        for field in log["fields"]
        if field["value"] == "ZeroDivisionError" and span is not root
    ]
    assert "shop.broken" in raised
    assert "shop.price" not in raised
    # FastAPI's pool: no span begins in its thread, and yet its calls are in the trace.
    trace = jaeger.get_trace(counted, 50)
    assert difference(shown(trace, "stock"), list(map(canonical, truths["stock"][counted]))) == []
    pooled = {
        tags_of(span)["thread.name"]
        for span in trace["spans"]
        if span["operationName"] == "stock.look"
    }
    assert len(pooled) == 1
    assert pooled != {"MainThread"}


def test_a_slow_request_to_django(tmp_path: Path, jaeger: Jaeger) -> None:
    """The very first one, from its beginning; the quick one after it stays as it is."""
    pytest.importorskip("opentelemetry.instrumentation.django")
    [port] = _free_ports(1)
    truth = tmp_path / "ledger.json"
    process = subprocess.Popen(
        [sys.executable, str(RUNNER), "ledger", str(port), str(truth)],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "OTRACE_EXCLUDE": "oracle",
        },
    )
    try:
        wait_for(lambda: is_open(port), f"port {port}", 60)
        for entries, total in ((15, 1050), (1, 0)):
            answer = requests.get(f"http://127.0.0.1:{port}/total/{entries}", timeout=20)
            assert answer.json() == {"total": total}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    slow, quick = json.loads(truth.read_text()).items()
    trace = jaeger.get_trace(slow[0], 30)
    assert difference(shown(trace, "ledger"), list(map(canonical, slow[1]))) == []
    assert complaints(trace) == []
    assert orphans(trace) == []
    [root] = [span for span in trace["spans"] if parent_of(span) is None]
    assert tags_of(root)["otrace.trigger"] == "slow"
    assert "otrace.lost.ns" not in tags_of(root)
    assert len(jaeger.get_trace(quick[0])["spans"]) == 2


def test_a_slow_task_of_celery(tmp_path: Path, jaeger: Jaeger) -> None:
    """The very first task of a worker, from its beginning."""
    pytest.importorskip("opentelemetry.instrumentation.celery")
    celery = pytest.importorskip("celery")
    truth, folder = tmp_path / "jobs.json", tmp_path / "broker"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(RUNNER), "jobs", "0", str(truth)],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "OTRACE_EXCLUDE": "oracle",
            "BROKER": "filesystem://",
            "JOBS": str(folder),
        },
    )
    try:
        client = celery.Celery("client", broker="filesystem://")
        client.conf.broker_transport_options = {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(folder / "c"),
        }
        client.send_task("jobs.bill", [15])
        [found] = jaeger.find_traces("jobs")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    [(trace_id, trees)] = json.loads(truth.read_text()).items()
    assert found["traceID"] == trace_id
    trace = jaeger.get_trace(trace_id, 17)
    assert difference(shown(trace, "jobs"), list(map(canonical, trees))) == []
    assert complaints(trace) == []
    assert orphans(trace) == []
    [root] = [span for span in trace["spans"] if parent_of(span) is None]
    assert tags_of(root)["otrace.trigger"] == "slow"
    assert "otrace.lost.ns" not in tags_of(root)
    bills = [span for span in trace["spans"] if span["operationName"] == "jobs.bill"]
    assert len(bills) == 1
