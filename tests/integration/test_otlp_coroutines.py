"""Coroutines as OTLP spans are what the programs note of themselves: one span a call, from first
start to final end, below the call that awaits it or that made its task."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status
from oracle.corpus import otrace_run

from otrace.recording import Recording
from otrace_exporters.otlp.exporter import choose

FOLDER = Path(__file__).parent / "async_programs"
PROGRAMS = re.findall(r"@program\ndef (\w+)", (FOLDER / "programs.py").read_text())
NEWER = {"eager_tasks": (3, 12)}
# A body that is suspended at its yield, or driven by hand, is noted as if it were around others.
NESTING_IS_NOT_NOTED = {
    "a_generator_passed_on_between_tasks",
    "async_with",
    "by_hand",
    "two_generators_of_one_function",
}
OPTIONS = {"max_spans": 100_000, "max_depth": 1000, "window": 60.0, "request": (), "service": ""}
Row = dict[str, Any]


def attributes(span: Span) -> Row:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "")
        for pair in span.attributes
    }


def spans_of(recording: Recording, **options: object) -> list[Span]:
    """All spans of the run's trace."""
    traces = choose(recording, {**OPTIONS, **options}, lambda done: None)
    return [span for part in traces.spans() for span in ScopeSpans.FromString(part.data).spans]


def traced(folder: Path, name: str, *options: str) -> tuple[Row, Recording]:
    program = str(FOLDER / "programs.py")
    words = (*options, "-o", "t.otrace", program, name, str(folder / "notes.json"))
    done = otrace_run(folder, *words)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "notes.json").read_text()), Recording.open(folder / "t.otrace")


def match(calls: list[Row], spans: list[Span], base_ns: int) -> dict[int, Span]:
    """Noted call → its span: the last one of its function to begin before it, on its thread."""
    begun: dict[Any, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_time_unix_nano):
        begun[span.name.rsplit(".", 1)[-1], attributes(span).get("thread.id")].append(span)
    found: dict[int, Span] = {}
    for call in calls:
        start = call["start"] + base_ns
        before = [
            span
            for span in begun[call["function"], call["thread"]]
            if span.start_time_unix_nano <= start
        ]
        found[call["number"]] = before[-1]
    assert len({span.span_id for span in found.values()}) == len(calls)
    return found


def nearest(span: Span, by_id: dict[bytes, Span], numbers: dict[bytes, int]) -> int | None:
    """The noted call that a span is in."""
    parent = by_id.get(span.parent_span_id)
    while parent is not None and parent.span_id not in numbers:
        parent = by_id.get(parent.parent_span_id)
    return None if parent is None else numbers[parent.span_id]


def check_call(call: Row, span: Span, base_ns: int) -> None:
    shown = attributes(span)
    assert span.start_time_unix_nano <= call["start"] + base_ns
    assert "otrace.resumed" not in shown
    assert "otrace.yielded" not in shown
    assert "otrace.cut" not in shown
    assert 0 < shown["otrace.running_ns"] <= span.end_time_unix_nano - span.start_time_unix_nano
    if call["awaits"] is not None:
        assert shown["otrace.awaits"] == call["awaits"]
    if call["outcome"] is not None:  # else it was closed after the notes were written
        assert span.end_time_unix_nano >= call["end"] + base_ns
        assert "otrace.open" not in shown
        raised = "otrace.exception" in shown or any(e.name == "exception" for e in span.events)
        assert raised == (call["outcome"] != "returned")
    if call["outcome"] in ("CancelledError", "GeneratorExit"):
        assert span.status.code == Status.STATUS_CODE_UNSET


PROGRAM = str(FOLDER / "programs.py")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, ("--include", PROGRAM)) for name in PROGRAMS),
        *((name, ()) for name in ("chain", "a_callback_makes_tasks", "a_loop_inside_the_loop")),
    ],
)
def test_program(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    if sys.version_info < NEWER.get(name, (3,)):
        pytest.skip("this Python has no such tasks")
    notes, recording = traced(tmp_path, name, *options)
    base_ns = recording.start_wall_ns - recording.start_mono_ns
    spans = spans_of(recording)
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    calls = notes["calls"]
    found = match(calls, spans, base_ns)
    numbers = {span.span_id: number for number, span in found.items()}
    made_by = {task["name"]: task["parent"] for task in notes["tasks"]}
    for call in calls:
        span = found[call["number"]]
        check_call(call, span, base_ns)
        around = nearest(span, by_id, numbers)
        maker = made_by.get(call["task"])
        if name in NESTING_IS_NOT_NOTED:
            continue
        if call["parent"] is not None:
            assert around == call["parent"]
        elif around is not None and maker is not None:  # a task's first call
            assert calls[around]["task"] in (maker, call["task"])
    assert not [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
