"""Tests as spans in a real Jaeger: pytest's plug-in with an OTLP endpoint."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jaeger import Jaeger

TESTS = """
import pytest

def helper(n):
    return n + 1

@pytest.fixture
def cart():
    return helper(1)

def test_good(cart):
    assert helper(cart) == 3

def test_bad(cart):
    assert helper(cart) == 4

def test_skipped():
    pytest.skip("no")

@pytest.mark.parametrize("text", ["<script>", "größe"])
def test_text(text):
    assert text
"""
NAMES = ["test_bad", "test_good", "test_skipped", "test_text[<script>]", "test_text[gr\\xf6\\xdfe]"]
SENT = re.compile(r"([0-9,]+) spans in trace ([0-9a-f]{32})")
STATUS = "test.case.result.status"


def run_tests(folder: Path, jaeger: Jaeger, *words: str, service: str = "tests") -> str:
    (folder / "test_cart.py").write_text(TESTS)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OT", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--otrace-export=otlp", *words],
        cwd=folder,
        env={
            **clean,
            "TMPDIR": str(folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
            "OTEL_SERVICE_NAME": service,
            "OTRACE_INCLUDE": "test_cart",
            "OTRACE_C_CALLS": "0",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def above(span: dict[str, Any], spans: dict[str, dict[str, Any]]) -> list[str]:
    """The names around a span, the nearest first."""
    names = []
    while span["references"] and (outer := spans.get(span["references"][0]["spanID"])):
        names.append(outer["operationName"])
        span = outer
    return names


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "on workers"])
def test_a_session_is_a_trace(jaeger: Jaeger, tmp_path: Path, workers: tuple[str, ...]) -> None:
    ((count, trace_id),) = SENT.findall(run_tests(tmp_path, jaeger, "--otrace", *workers))
    trace = jaeger.get_trace(trace_id, spans=int(count))
    assert len(trace["spans"]) == int(count)
    spans = {span["spanID"]: span for span in trace["spans"]}
    tests = {
        name.removeprefix("test_cart.py::"): span
        for span in trace["spans"]
        if (name := span["operationName"]).startswith("test_cart.py::")
    }
    assert sorted(tests) == NAMES
    outcomes = {name: tags(span)[STATUS] for name, span in tests.items()}
    assert outcomes == dict(zip(NAMES, ["fail", "pass", "skip", "pass", "pass"], strict=True))
    assert [name for name, span in tests.items() if tags(span).get("error")] == ["test_bad"]
    raised = {
        span["operationName"]: {field["key"]: field["value"] for field in log["fields"]}
        for span in trace["spans"]
        for log in span["logs"]
    }
    where = "test_cart.test_bad"
    if sys.version_info >= (3, 12):
        assert tags(tests["test_bad"])["otrace.exception"] == "AssertionError"
    else:  # the profile hook does not tell what a call raised; the test's event knows
        where = "test_cart.py::test_bad"
    assert raised[where]["exception.type"] == "AssertionError"
    helpers = [span for span in trace["spans"] if span["operationName"] == "test_cart.helper"]
    around = sorted(above(span, spans)[:2] for span in helpers)
    assert around == [
        ["test_cart.cart", "test_cart.py::test_bad"],
        ["test_cart.cart", "test_cart.py::test_good"],
        ["test_cart.test_bad", "test_cart.py::test_bad"],
        ["test_cart.test_good", "test_cart.py::test_good"],
    ]
    places = {span["processID"] for span in tests.values()}
    assert len(places) == (2 if workers else 1)
    assert {process["serviceName"] for process in trace["processes"].values()} == {"tests"}


def test_a_failed_test_is_a_trace(jaeger: Jaeger, tmp_path: Path) -> None:
    said = run_tests(tmp_path, jaeger, "--otrace-failed", "-n", "2", service="failed-tests")
    assert said.count(f"\n{jaeger.otlp_http}") == 1
    (trace,) = jaeger.find_traces("failed-tests")
    (test,) = (span for span in trace["spans"] if span["operationName"].startswith("test_cart.py"))
    assert test["operationName"] == "test_cart.py::test_bad"
    assert tags(test)["error"] is True
