"""Spans of programs that use OpenTelemetry's SDK, in the files made of their recordings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Otrace

HEAD = """
import json, os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
provider = TracerProvider()
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("test")
"""


def spans_in(path: Path) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text())["traceEvents"]
    return [row for row in rows if row.get("cat") == "span"]


def names_in(path: Path) -> list[str]:
    return sorted(row["name"] for row in spans_in(path))


@pytest.mark.parametrize("filters", [(), ("--include", "app"), ("--no-stdlib", "--no-c-calls")])
def test_every_provider_whatever_the_filters(otrace: Otrace, filters: tuple[str, ...]) -> None:
    otrace.write(
        "app.py",
        HEAD
        + """
def work():
    with tracer.start_as_current_span("one"):
        with TracerProvider().get_tracer("test").start_as_current_span("two", attributes={"a": 1}):
            provider.get_tracer("again").start_span("three").end()

work()
not_sampled = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
with not_sampled.start_as_current_span("none"):
    pass
""",
    )
    otrace("run", *filters, "-o", "t.json", "app.py")
    rows = {row["name"]: row for row in spans_in(otrace.folder / "t.json")}
    assert set(rows) == {"one", "two", "three"}
    assert rows["two"]["args"]["parent_span_id"] == rows["one"]["args"]["span_id"]
    assert rows["two"]["args"]["a"] == 1
    text = (otrace.folder / "t.json").read_text()
    assert "SpanRecorder" not in text
    assert "otrace.spans" not in text


def test_forked_children_and_a_library_recording(otrace: Otrace) -> None:
    program = otrace.write(
        "app.py",
        HEAD
        + """
import otrace
with otrace.record("inside.json"):
    with tracer.start_as_current_span("parent"):
        pass
    if os.fork() == 0:
        with tracer.start_as_current_span("child"):
            pass
        os._exit(0)
    os.wait()
with tracer.start_as_current_span("afterwards"):
    pass
""",
    )
    subprocess.run([sys.executable, program], cwd=otrace.folder, check=True, timeout=60)
    assert names_in(otrace.folder / "inside.json") == ["child", "parent"]


def test_what_goes_wrong_is_told(otrace: Otrace) -> None:
    otrace.write(
        "app.py",
        HEAD
        + """
try:
    with tracer.start_as_current_span("fails", attributes={"big": "x" * 5000, "n": 1}) as span:
        for number in range(20):
            span.set_attribute(f"more{number}", "y" * 500)
        raise ValueError("no such thing")
except ValueError:
    pass
span = tracer.start_span("in the past", start_time=1)
span.end(end_time=2)
""",
    )
    otrace("run", "-o", "t.json", "app.py")
    fails, past = sorted(spans_in(otrace.folder / "t.json"), key=lambda row: row["name"])
    assert fails["args"]["span_status"] == "error"
    assert fails["args"]["exception.type"] == "ValueError"
    assert fails["args"]["exception.message"] == "no such thing"
    assert fails["args"]["otel.status_description"] == "ValueError: no such thing"
    assert len(fails["args"]["big"]) == 1025
    assert fails["args"]["attributes_cut"] is True
    assert len(json.dumps(fails)) < 4000
    assert (past["ts"], past["dur"]) == (1.0, 0.0)


def test_a_wrong_address_is_a_usage_error(otrace: Otrace) -> None:
    otrace.write("app.py", "")
    done = otrace("run", "--jaeger-url", "localhost", "app.py", status=2)
    assert "not an address: write it as http://localhost:16686" in done.stderr
    done = otrace("run", "app.py", status=2, env={"OTRACE_JAEGER_URL": "localhost"})
    assert "OTRACE_JAEGER_URL is 'localhost'" in done.stderr
