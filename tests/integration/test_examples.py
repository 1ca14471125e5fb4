"""Every example runs, prints what it does without otrace, and leaves the trace of its story."""

from __future__ import annotations

import gzip
import importlib.util
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Otrace

EXAMPLES = Path(__file__).parents[2] / "examples"
MONITORING = sys.version_info >= (3, 12)
TESTED_HERE = {"script", "threads", "library_api", "otlp"}
TESTED_ELSEWHERE = {"own_exporter", "compose", "scale", "services"}


def plain(app: Path) -> str:
    """What a program prints without otrace."""
    words = [sys.executable, str(app)]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


def module_of(app: Path) -> ModuleType:
    """The example as a module, to count by hand what its trace should hold."""
    spec = importlib.util.spec_from_file_location(f"example_{app.parent.name}", app)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Trace:
    """A Chrome trace, as any reader of JSON sees it."""

    def __init__(self, path: Path) -> None:
        self.rows: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
        self.calls = [row for row in self.rows if row["ph"] in "XB"]
        self.threads = {
            row["tid"]: row["args"]["name"]
            for row in self.rows
            if row["ph"] == "M" and row["name"] == "thread_name"
        }

    def named(self, name: str, **fields: object) -> list[dict[str, Any]]:
        """The calls of a name, and of further fields."""
        return [
            row
            for row in self.calls
            if row["name"] == name and all(row.get(key) == fields[key] for key in fields)
        ]

    def per_thread(self, name: str) -> Counter[str]:
        """Thread name → how often it called a function."""
        return Counter(self.threads[row["tid"]] for row in self.named(name))


def unwound(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls that an exception left."""
    return [row for row in rows if row.get("args", {}).get("ended") == "unwind"]


def test_every_example_is_tested() -> None:
    folders = {
        path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name[0] not in "._"
    }
    assert folders == TESTED_HERE | TESTED_ELSEWHERE
    for name in folders:
        assert (EXAMPLES / name / "README.md").is_file()


def test_script(otrace: Otrace) -> None:
    app = EXAMPLES / "script" / "app.py"
    assert otrace("run", "-o", "shop.json", app).stdout == plain(app)
    shop = module_of(app)
    orders, rejected = shop.read_orders(shop.make_orders(48))

    def prices(item: Any) -> int:
        return 1 if isinstance(item, str) else 1 + sum(prices(part) for part in item["parts"])

    expected = Counter(
        {
            f"bill {region}": sum(
                prices(order["item"]) for order in orders if order["region"] == region
            )
            for region in shop.REGIONS
        }
    )
    trace = Trace(otrace.folder / "shop.json")
    assert trace.per_thread("__main__.price") == expected
    assert trace.per_thread("time.sleep") == dict.fromkeys(expected, 1)
    checked = trace.named("__main__.quantity_of", cat="python")
    assert len(checked) == 48
    assert len(unwound(checked)) == rejected == 4
    types = {row["args"].get("exception") for row in unwound(checked)}
    assert types == ({"ValueError"} if MONITORING else {None})


def test_script_with_filters(otrace: Otrace) -> None:
    app = EXAMPLES / "script" / "app.py"
    otrace("run", "--include", "__main__", "--no-c-calls", "-o", "own.json", app)
    trace = Trace(otrace.folder / "own.json")
    assert {row["name"].partition(".")[0] for row in trace.calls} == {"__main__"}
    otrace("run", "--min-duration", "900us", "-o", "slow.json", app)
    slow = Trace(otrace.folder / "slow.json")
    assert all(row["dur"] >= 900 for row in slow.calls if row["ph"] == "X")
    assert len(slow.named("__main__.fetch_tax")) == 4
    assert len(slow.calls) < len(trace.calls)


def test_threads(otrace: Otrace) -> None:
    app = EXAMPLES / "threads" / "app.py"
    assert otrace("run", "-o", "threads.json", app).stdout == plain(app)
    trace = Trace(otrace.folder / "threads.json")
    workers = {f"worker {number} (done)" for number in range(3)}
    checks = {f"check {number}" for number in range(3)}
    named = Counter(trace.threads.values())
    assert named == dict.fromkeys({"MainThread", "feeder", *workers, *checks}, 1)
    compressed = trace.per_thread("zlib.compress")
    assert compressed.total() == 12
    assert set(compressed) <= workers
    assert trace.per_thread("queue.Queue.get").total() == 12 + 3
    assert trace.per_thread("__main__.feed") == {"feeder": 1}
    assert trace.per_thread("__main__.check") == dict.fromkeys(checks, 1)


def test_library_api(otrace: Otrace) -> None:
    app = EXAMPLES / "library_api" / "app.py"
    done = subprocess.run(
        [sys.executable, str(app), str(otrace.folder)],
        env=otrace.environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert otrace.sessions() == []
    lines = done.stdout.splitlines()
    assert lines[0] == "import.json and early.json are written"
    # 4 names, 100 times, and the run that ends the generator.
    assert lines[1].split() == ["401", "__main__.noisy.<locals>.<genexpr>"]

    trace = Trace(otrace.folder / "import.json")
    loads = [row["args"] for row in trace.named("load", cat="event")]
    assert [(args["file.name"], args["lines"], args["rows"]) for args in loads] == [
        ("prices.csv", 3, 3),
        ("stock.csv", 4, 3),
    ]
    parsed = trace.named("__main__.parse", cat="event")
    assert len(parsed) == 7
    assert [row["args"]["exception"] for row in unwound(parsed)] == ["ValueError"]
    assert len(trace.named("warm up", cat="event")) == 1  # the other one was paused
    assert trace.named("__main__.noisy") == []
    bad = [row for row in trace.rows if row["ph"] == "i" and row["name"] == "bad line"]
    assert [row["args"] for row in bad] == [{"file": "stock.csv", "position": 1}]
    counted = [row["args"] for row in trace.rows if row["ph"] == "C"]
    assert counted[-1] == {"good": 3, "seen": 4}
    assert len(counted) == 6
    announced = [row for row in trace.rows if row["name"] == "announce" and row["ph"] in "Xb"]
    assert len(announced) == 2

    early = Trace(otrace.folder / "early.json")
    assert len(early.named("load", cat="event")) == 2
    assert [row for row in early.rows if row["name"] == "announce"] == []


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Takes OTLP over HTTP: its endpoint, and the bodies it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            bodies.append(gzip.decompress(body) if zipped else body)
            assert self.path == "/v1/traces"
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


def test_otlp(otrace: Otrace) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    app = EXAMPLES / "otlp" / "app.py"
    with collector() as (endpoint, bodies):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "shop"}
        words = ("run", "--export", "otlp", "--include", "__main__", app)
        assert otrace(*words, env=environment).stdout == plain(app)
    spans, services = {}, set()
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            services.update(
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            )
            for scope in resource.scope_spans:
                spans.update({span.span_id: span for span in scope.spans})
    assert services == {"shop"}
    assert len({span.trace_id for span in spans.values()}) == 1
    names = Counter(span.name for span in spans.values())
    assert names["__main__.handle"] == 3
    assert names["__main__.take"] == 3 + 3 + 4

    def parents(span: Any) -> list[str]:
        above = []
        while (span := spans.get(span.parent_span_id)) is not None:
            above.append(span.name)
        return above

    takes = [span for span in spans.values() if span.name == "__main__.take"]
    for take in takes:
        assert parents(take)[:4] == [
            "__main__.reserve",
            "__main__.handle",
            "__main__.main",
            "__main__.<module>",
        ]
    failed = [take for take in takes if any(event.name == "exception" for event in take.events)]
    assert len(failed) == 1
    if MONITORING:
        attributes = {a.key: a.value.string_value for a in failed[0].events[0].attributes}
        assert attributes["exception.type"] == "LookupError"
