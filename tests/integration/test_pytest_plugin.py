"""pytest's plug-in, as people use it: pytest is run on a folder of tests."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TESTS = """
import time
import pytest

def helper(n):
    return sum(range(n))

def test_good():
    assert helper(10) == 45

def test_bad():
    assert helper(10) == 46

@pytest.mark.slow
def test_slow():
    time.sleep(0.3)

@pytest.fixture
def breaking():
    yield
    raise RuntimeError("x")

def test_teardown(breaking):
    pass

@pytest.mark.parametrize("text", ["a/b", "a.b", "<script>", "x" * 300])
def test_text(text):
    assert text == "a.b"

def test_skipped():
    pytest.skip("no")

class TestGroup:
    def test_member(self):
        helper(5)
"""
NAMES = ["test_good", "test_bad", "test_slow", "test_teardown", "test_skipped"]
OUTCOME = "4 failed, 5 passed, 1 skipped, 1 error"


class Run:
    """Runs pytest in a folder with tests/test_it.py."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tests").mkdir()
        (folder / "tests" / "test_it.py").write_text(TESTS)
        (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")

    def __call__(self, *words, status=1, launcher=("-m", "pytest"), **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTRACE_", "PYTEST_"))}
        done = subprocess.run(
            [sys.executable, *launcher, "-p", "no:cacheprovider", "tests", *words],
            cwd=self.folder,
            env={**clean, "TMPDIR": str(self.folder), "OTRACE_EXCLUDE": "_pytest", **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert list(self.folder.glob("*.otrace")) == []  # nothing is left behind
        return done.stdout

    def traces(self):
        return sorted(path.name for path in (self.folder / "otrace-traces").glob("*.json"))

    def rows(self, name):
        text = (self.folder / "otrace-traces" / name).read_text()
        return json.loads(text)["traceEvents"]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def events_of(rows):
    return {row["name"]: row for row in rows if row.get("cat") == "event"}


def check_session(rows):
    """Each test is one event with its outcome, and the calls of a test lie inside."""
    events = events_of(rows)
    assert {f"tests/test_it.py::{name}" for name in NAMES} < set(events)
    assert "tests/test_it.py::TestGroup::test_member" in events
    assert len(events) == 10
    status = "test.case.result.status"
    bad = events["tests/test_it.py::test_bad"]
    assert (bad["args"][status], bad["args"]["exception"]) == ("fail", "AssertionError")
    assert events["tests/test_it.py::test_teardown"]["args"]["exception"] == "RuntimeError"
    assert events["tests/test_it.py::test_good"]["args"][status] == "pass"
    assert events["tests/test_it.py::test_skipped"]["args"][status] == "skip"
    (call,) = (row for row in rows if row["name"] == "test_it.test_bad")
    assert call["tid"] == bad["tid"]
    assert bad["ts"] <= call["ts"]
    assert call["ts"] + call["dur"] <= bad["ts"] + bad["dur"]


def test_unasked_it_changes_nothing(run):
    quiet = run("-q", "-p", "no:otrace")
    usual = run("-q")
    times = re.compile(r"in [0-9.]+s")
    assert times.sub("", usual) == times.sub("", quiet)
    assert OUTCOME in usual
    assert not (run.folder / "otrace-traces").exists()
    probe = "import sys; print(sorted(name for name in sys.modules if name.startswith('otrace')))"
    (run.folder / "tests" / "conftest.py").write_text(f"def pytest_unconfigure():\n    {probe}\n")
    loaded = run("-q").splitlines()[-1]
    parts = "_events _lib _native _native.lib _version errors instrument pytest_plugin"
    assert loaded == str(["otrace", *(f"otrace.{part}" for part in parts.split())])


def test_a_session(run):
    said = run("--otrace")
    assert OUTCOME in said
    assert re.search(r"^otrace-traces/session.json: [0-9,]+ calls$", said, re.MULTILINE)
    assert run.traces() == ["session.json"]
    assert (run.folder / "otrace-traces" / ".gitignore").read_text() == "*\n"
    check_session(run.rows("session.json"))


def test_a_session_on_workers(run):
    said = run("--otrace", "-n", "2")
    assert OUTCOME in said
    rows = run.rows("session.json")
    check_session(rows)
    assert len({row["pid"] for row in events_of(rows).values()}) == 2
    assert len({row["pid"] for row in rows if row["name"] == "process_name"}) == 3


def test_a_session_that_otrace_records_from_outside(run):
    words = ("-W", "error", "--otrace", "-p", "no:xdist")
    launcher = ("-m", "otrace", "run", "-o", "out.json", "-m", "pytest")
    said = run(*words, launcher=launcher)
    assert OUTCOME in said
    assert "recorded from outside" in said
    assert run.traces() == []
    check_session(json.loads((run.folder / "out.json").read_text())["traceEvents"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_failed_tests_keep_their_traces(run, workers):
    said = run("--otrace-failed", "--junit-xml=out.xml", *workers)
    assert OUTCOME in said
    traces = run.traces()
    assert len(traces) == 5
    assert "tests.test_it.test_bad.json" in traces
    assert "tests.test_it.test_teardown.json" in traces
    assert len([name for name in traces if name.startswith("tests.test_it.test_text[a.b]-")]) == 1
    assert all(len(name) < 200 for name in traces)
    for name in traces:
        assert said.count(f"trace: otrace-traces/{name}\n") == 1  # with the failure
        assert said.count(f"\notrace-traces/{name}\n") == 1  # in the summary
        assert len(events_of(run.rows(name))) == 1
    rows = run.rows("tests.test_it.test_bad.json")
    args = events_of(rows)["tests/test_it.py::test_bad"]["args"]
    assert (args["test.case.result.status"], args["exception"]) == ("fail", "AssertionError")
    assert [row["name"] for row in rows].count("test_it.helper") == 1
    values = {
        place.get("value")
        for place in ET.parse(run.folder / "out.xml").iter("property")
        if place.get("name") == "otrace.trace"
    }
    assert values == {f"otrace-traces/{name}" for name in traces}


def stem_of(node):
    return node.replace("/", ".").replace(".py::", ".")


def test_workers_that_take_whole_files_keep_each_trace_once(run):
    """`--dist loadfile`: tests of the same name in several files, some in folders."""
    text = """
import os
import pytest

def test_bad():
    print("worker", os.environ["PYTEST_XDIST_WORKER"])
    assert helper({number}) == 0

def test_good():
    assert helper(0) == 0

@pytest.mark.parametrize("n", [0, 1])
def test_some(n):
    assert helper(n) == 0

def helper(n):
    return n
"""
    files = ["test_a", "test_b", "deep/test_a", "deep/test_b"]
    (run.folder / "tests" / "test_it.py").unlink()
    for folder in ("", "deep"):
        (run.folder / "tests" / folder).mkdir(exist_ok=True)
        (run.folder / "tests" / folder / "__init__.py").write_text("")
    for number, name in enumerate(files, 1):
        path = run.folder / "tests" / f"{name}.py"
        path.write_text(text.replace("{number}", str(number)))
    said = run("--otrace-failed", "-n", "2", "--dist", "loadfile")
    assert "8 failed, 8 passed" in said
    bad = ("test_bad", "test_some[1]")
    failed = {f"tests/{name}.py::{test}" for name in files for test in bad}
    kept = {}
    for name in run.traces():
        rows = run.rows(name)
        (node,) = events_of(rows)
        assert node not in kept  # no test has two files
        kept[node] = name
        # The file is the test's: it was called once, and no other one.
        calls = [row["name"] for row in rows if row.get("cat") == "python"]
        tests = [call for call in calls if call.rpartition(".")[2].startswith("test_")]
        assert tests == [stem_of(node).partition("[")[0]]
        assert said.count(f"trace: otrace-traces/{name}\n") == 1
        assert said.count(f"\notrace-traces/{name}\n") == 1
    assert kept == {node: f"{stem_of(node)}.json" for node in failed}
    assert len(set(re.findall(r"worker (gw\d)", said))) == 2


def test_slow_tests_keep_their_traces(run):
    run("--otrace-slow=250ms", "--otrace-export", "perfetto", "--otrace-dir", "kept")
    names = {path.name for path in (run.folder / "kept").iterdir()}
    assert names == {".gitignore", "tests.test_it.test_slow.pftrace"}


def test_a_test_that_is_interrupted_leaves_nothing(run):
    (run.folder / "tests" / "test_it.py").write_text(
        "def test_stop():\n    raise KeyboardInterrupt\n"
    )
    assert "KeyboardInterrupt" in run("--otrace-failed", status=2)
    assert run.traces() == []
    assert "calls" in run("--otrace", status=2)


def test_a_trace_that_cannot_be_written_is_told(run):
    (run.folder / "file").write_text("")
    said = run("--otrace-failed", "--otrace-dir", "file/x", "-k", "test_bad")
    assert "1 failed" in said
    assert "no trace: cannot make" in said
    assert "--otrace-dir" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--otrace-export", "chrome"], "needs --otrace"),
        (["--otrace", "--otrace-export", "nope"], "unknown exporter 'nope'"),
        (["--otrace", "--otrace-export", "chrome="], "NAME=FILE"),
        (["--otrace-failed", "--otrace-export", "chrome=a.json"], "--otrace-dir"),
        (["--otrace-slow=5"], "needs a unit"),
    ],
)
def test_wrong_options(run, words, said):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OTRACE_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=run.folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert said in done.stderr


def test_tests_become_spans(run):
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        said = run("--otrace", "--otrace-export", "otlp", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        server.shutdown()
    assert re.search(r"^http.*: [0-9,]+ calls; .* spans in trace [0-9a-f]{32}", said, re.MULTILINE)
    spans = {
        span.name: span
        for request in requests
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    }
    bad = spans["tests/test_it.py::test_bad"]
    assert [event.name for event in bad.events] == ["exception"]
    assert sum(name.startswith("tests/test_it.py::") for name in spans) == 10
