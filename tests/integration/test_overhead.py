"""The overhead governor in programs of its own: what is switched off, what is not, what is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otrace.recording import Process, Recording

if TYPE_CHECKING:
    from .conftest import Otrace

PROGRAMS = Path(__file__).parent / "overhead_programs"
governed = pytest.mark.skipif(sys.version_info < (3, 12), reason="needs sys.monitoring")


@dataclass(frozen=True)
class Call:
    """A recorded call; times in nanoseconds."""

    name: str
    parent: str | None
    start: int
    end: int


def calls_of(process: Process) -> Iterator[Call]:
    """All calls of a process, ended or open."""
    for track in process.tracks:
        rows: dict[int, tuple[str, int, int, int]] = {}
        for batch in track.batches():
            for at in range(len(batch.index)):
                end = (
                    batch.start_ns[at] + batch.duration_ns[at] if batch.duration_ns[at] >= 0 else -1
                )
                name = process.functions[batch.function[at]].name.removeprefix("__main__.")
                rows[batch.index[at]] = (name, batch.parent[at], batch.start_ns[at], end)
        for name, parent, start, end in rows.values():
            yield Call(name, rows[parent][0] if parent in rows else None, start, end)


def recorded(
    otrace: Otrace, program: str, *options: str, overhead: str = "2%"
) -> tuple[Recording, str]:
    """The recording of a program, and what the program printed."""
    done = otrace(
        "run", "-q", "--overhead", overhead, *options, "-o", "a.otrace", PROGRAMS / program
    )
    return Recording.open(str(otrace.folder / "a.otrace")), done.stdout


def info(otrace: Otrace) -> dict[str, Any]:
    """What `otrace info --json` says of the recording."""
    data: dict[str, Any] = json.loads(otrace("info", "a.otrace", "--json").stdout)
    return data


@governed
@pytest.mark.parametrize("options", [(), ("--no-c-calls",)])
def test_what_costs_too_much_goes_and_comes_back(otrace: Otrace, options: tuple[str, ...]) -> None:
    recording, out = recorded(otrace, "hot_then_calm.py", *options)
    truth = json.loads(out)
    process = recording.processes[0]
    calls = list(calls_of(process))
    counts = Counter(call.name for call in calls)
    assert counts["work"] == truth["work"]
    assert counts["seldom"] == truth["seldom"]
    assert 0 < counts["tiny"] < truth["tiny"]

    off = {one.function.name.removeprefix("__main__."): one for one in process.switched_off}
    assert {"tiny", "recursive"} <= set(off)
    assert not {"work", "seldom", "run_hot", "run_calm"} & set(off)
    assert {name: one.calls for name, one in off.items()} == {name: counts[name] for name in off}
    back = off["tiny"].until_ns
    assert back is not None
    assert any(call.name == "tiny" and call.start > back for call in calls)

    for call in calls:
        if call.name in ("tiny", "work", "generator", "raising"):
            assert call.parent in ("hot", "run_calm")
        if call.name == "recursive":
            assert call.parent in ("hot", "recursive")

    shown = {one["function"]: one for one in info(otrace)["processes"][0]["switched_off"]}
    assert shown["__main__.tiny"]["calls"] == counts["tiny"]
    assert shown["__main__.tiny"]["missing_ns"] > 1_900_000_000
    assert "__main__.tiny: " in otrace("info", "a.otrace").stdout


@governed
def test_calls_that_were_open_end_where_they_end(otrace: Otrace) -> None:
    recording, _ = recorded(otrace, "open_calls.py", "--no-c-calls", overhead="0.2%")
    process = recording.processes[0]
    calls = list(calls_of(process))
    off = {one.function.qualified for one in process.switched_off}
    assert {"visit", "produce", "fail"} <= off
    afters = sorted(call.start for call in calls if call.name == "after")
    for name, after in zip(("visit", "produce", "fail"), afters, strict=True):
        longest = max(
            (call for call in calls if call.name == name), key=lambda call: call.end - call.start
        )
        assert longest.end - longest.start > 650_000_000
        assert longest.end <= after
    assert {call.parent for call in calls if call.name == "after"} == {"around"}


@governed
def test_the_end_of_an_unseen_call_takes_no_later_end_away(otrace: Otrace) -> None:
    recording, _ = recorded(otrace, "unseen_call.py", "--no-c-calls")
    process = recording.processes[0]
    assert "visit" in {one.function.qualified for one in process.switched_off}
    visits = [call for call in calls_of(process) if call.name == "visit"]
    assert {"hot"} <= {call.parent for call in visits} <= {"hot", "later", "<module>"}
    assert all(call.end >= 0 for call in visits)


@governed
def test_a_forked_child_starts_afresh(otrace: Otrace) -> None:
    recording, out = recorded(otrace, "forks.py", "--no-c-calls")
    parent, child = recording.processes
    assert child.pid == int(out)
    assert "tiny" in {one.function.qualified for one in parent.switched_off}
    calls = Counter(call.name for call in calls_of(child))
    assert calls["spend"] == 31
    assert calls["tiny"] == 7
    (told,) = (one for one in child.switched_off if one.function.qualified == "tiny")
    assert told.since_ns <= child.start_ns + 1000
    assert told.until_ns is not None
    assert told.calls == 7


REQUESTS = """
import json, time
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otrace.otel import OtraceSpanProcessor

exporter = InMemorySpanExporter()
provider = TracerProvider()
front = SimpleSpanProcessor(exporter)
provider.add_span_processor(OtraceSpanProcessor(front, mode="always", overhead=0.05))
tracer = provider.get_tracer("test")

def tiny():
    pass

def handle(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(1000):
            tiny()
        sum(range(1000))

for seconds in (0.001, 0.5):
    with tracer.start_as_current_span("request"):
        handle(seconds)
    assert provider.force_flush()
print(json.dumps([dict(s.attributes) for s in exporter.get_finished_spans() if s.parent is None]))
"""


@governed
def test_a_captured_request_tells_what_it_lacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REQUESTS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    short, long = json.loads(done.stdout)
    assert short["otrace.captured"] is True
    assert "otrace.switched_off" not in short
    assert long["otrace.switched_off"] >= 1
    assert "__main__.tiny (" in long["otrace.switched_off.functions"]


def test_without_it_all_is_recorded(otrace: Otrace) -> None:
    otrace("run", "-q", "-o", "a.otrace", PROGRAMS / "forks.py")
    assert all(process["switched_off"] == [] for process in info(otrace)["processes"])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="has sys.monitoring")
def test_the_profile_hook_says_that_it_cannot(otrace: Otrace) -> None:
    otrace("run", "-q", "--overhead", "2%", "-o", "a.otrace", PROGRAMS / "forks.py")
    assert "the overhead is not bounded" in otrace("info", "a.otrace").stderr


def test_a_part_that_is_none_is_refused(otrace: Otrace) -> None:
    done = otrace("run", "--overhead", "5", "-c", "0", status=2)
    assert "--overhead" in done.stderr
    assert "0.05" in done.stderr
