"""OTEL_TRACES_EXPORTER=otrace_chrome and otrace_perfetto, in the real Perfetto UI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from perfetto_ui import PerfettoUI

PROGRAM = """
import json, os, signal, sys, threading
from opentelemetry import trace
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

_OTelSDKConfigurator().configure()  # as opentelemetry-instrument has it done, with a distribution
tracer = trace.get_tracer("test")
together = threading.Barrier(2)


def work(number):
    with tracer.start_as_current_span(f"outer {number}", attributes={"n": number, "a.b": 'q"'}):
        together.wait()
        with tracer.start_as_current_span("inner"):
            pass
        together.wait()


threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if "fork" in sys.argv and os.fork() == 0:
    with tracer.start_as_current_span("in the child"):
        pass
    trace.get_tracer_provider().force_flush()
    os._exit(0)
if "killed" in sys.argv:
    trace.get_tracer_provider().force_flush()
    with tracer.start_as_current_span("not yet in it"):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
if "fork" in sys.argv:
    os.wait()
"""
SLICES = """
    select slice.name, slice.dur, up.name parent, coalesce(track.name, thread.name) track
    from slice left join slice up on up.id = slice.parent_id
    join track on track.id = slice.track_id
    left join thread_track on thread_track.id = track.id left join thread using (utid)
    order by track, slice.name
"""


def run(folder: Path, exporter: str, name: str, *words: str) -> int:
    (folder / "app.py").write_text(PROGRAM)
    environment = {
        **os.environ,
        "OTEL_TRACES_EXPORTER": exporter,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "a service",
        "OTRACE_TRACES_FILE": name,
    }
    command = [sys.executable, "app.py", *words]
    done = subprocess.run(command, cwd=folder, env=environment, timeout=60)
    return done.returncode


@pytest.mark.parametrize(
    ("exporter", "name"), [("otrace_chrome", "t.json"), ("otrace_perfetto", "t.pftrace")]
)
@pytest.mark.parametrize("killed", [False, True])
def test_spans_in_the_ui(
    perfetto: PerfettoUI, tmp_path: Path, exporter: str, name: str, killed: bool
) -> None:
    status = run(tmp_path, exporter, name, *(["killed"] if killed else []))
    assert status == (-9 if killed else 0)
    with perfetto.open(tmp_path / name) as loaded:
        assert loaded.stats() == {}
        rows = [(row["name"], row["parent"], row["track"]) for row in loaded.query(SLICES)]
        sql = "select display_value v from args where flat_key glob '*.n' order by v"
        assert [row["v"] for row in loaded.query(sql)] == ["0", "1"]
        sql = "select name from process where name = 'a service'"
        assert len(loaded.query(sql)) == 1
    outers = {row[2]: row[0] for row in rows if row[0].startswith("outer")}
    assert set(outers) == {"OpenTelemetry", "OpenTelemetry 2"}
    assert set(outers.values()) == {"outer 0", "outer 1"}
    inners = [row for row in rows if row[0] == "inner"]
    assert sorted(row[1:] for row in inners) == sorted((outers[lane], lane) for lane in outers)
    assert len(rows) == 4


def test_a_forked_child_has_its_own_file(tmp_path: Path) -> None:
    assert run(tmp_path, "otrace_chrome", "t.json", "fork") == 0
    names = {}
    for path in tmp_path.glob("*.json"):
        rows = json.loads(path.read_text())["traceEvents"]
        names[path.name] = sorted(row["name"] for row in rows if row.get("ph") == "X")
    assert names.pop("t.json") == ["inner", "inner", "outer 0", "outer 1"]
    assert list(names.values()) == [["in the child"]]
