import json

import pytest
from unit.recording import synth

from otrace.encoding_spans import chrome_span_blocks
from otrace.recording import Recording

SPAN_END = 22
TRACE = 0xABC


@pytest.fixture
def segment():
    segment = synth.Segment()
    segment.note("spans", "1")
    segment.text(1, "http.route")
    return segment


def words(*numbers):
    return [half for number in numbers for half in (number & 0xFFFFFFFF, number >> 32)]


def text(value):
    data = value.encode()
    padded = data + bytes(-len(data) % 4)
    whole = [int.from_bytes(padded[at : at + 4], "little") for at in range(0, len(padded), 4)]
    return [5 | len(data) << 8, *whole]


def end(thread, at, name, span_id, parent, start, finish=None, flags=32, extra=(), trace=TRACE):
    finish = at if finish is None else finish
    body = words(span_id, 0, trace, parent, at - start, at - finish)
    thread.record(SPAN_END, at, *body, *text(name), *extra, flags=flags)


def rows_of(tmp_path, segment, **options):
    recording = Recording.open(segment.write(tmp_path))
    lanes, blocks = chrome_span_blocks(recording.processes[0], pid=1, first_tid=50, **options)
    data = b"".join(bytes(block) for block in blocks).decode()
    rows = json.loads("[" + data.removesuffix(",\n") + "]")
    assert [row["args"]["name"] for row in rows if row["ph"] == "M"] == [
        "OpenTelemetry" + (f" {lane + 1}" if lane else "") for lane in range(lanes)
    ]
    return [row for row in rows if row["ph"] == "X"]


def test_a_span(tmp_path, segment):
    end(segment.thread(), 9000, "GET", 7, 5, 2000, 8000, 1 | 16 | 32, [1, *text("/x")])
    (row,) = rows_of(tmp_path, segment, link="http://jaeger")
    assert (row["ts"], row["dur"], row["name"], row["cat"]) == (3.0, 6.0, "GET", "span")
    assert row["args"] == {
        "trace_id": f"{TRACE:032x}",
        "span_id": f"{7:016x}",
        "parent_span_id": f"{5:016x}",
        "span_kind": "server",
        "span_status": "error",
        "jaeger": f"http://jaeger/trace/{TRACE:032x}?uiFind={7:016x}",
        "http.route": "/x",
    }


def test_what_is_said_when_it_is_not_as_usual(tmp_path, segment):
    end(segment.thread(), 9000, "old", 7, 0, -5000, flags=64)
    (row,) = rows_of(tmp_path, segment)
    assert (row["ts"], row["dur"]) == (1.0, 9.0)
    assert row["args"]["sampled"] is False
    assert row["args"]["attributes_cut"] is True
    assert row["args"]["cut"] is True
    assert "parent_span_id" not in row["args"]


def test_spans_of_the_same_time_nest_whatever_their_ids(tmp_path, segment):
    thread = segment.thread()
    end(thread, 2000, "inner", 1, 9, 1000)
    end(thread, 2000, "stranger", 5, 0, 1000)
    end(thread, 2000, "outer", 9, 0, 1000)
    tids = {row["name"]: row["tid"] - 50 for row in rows_of(tmp_path, segment)}
    assert tids == {"outer": 0, "inner": 0, "stranger": 1}


def test_spans_nest_below_their_parents_alone(tmp_path, segment):
    one, two = segment.thread(), segment.thread()
    end(one, 2000, "inner", 2, 1, 1000)
    end(one, 3000, "late", 5, 1, 2500, 3000)
    end(one, 4000, "outer", 1, 0, 500)
    end(two, 2200, "of another trace", 1, 0, 1200, trace=9)
    end(two, 9000, "longer than its parent", 3, 1, 3500)
    tids = {row["name"]: row["tid"] - 50 for row in rows_of(tmp_path, segment)}
    assert tids == {
        "outer": 0,
        "inner": 0,
        "late": 0,
        "of another trace": 1,
        "longer than its parent": 1,
    }


def test_words_that_make_no_sense(tmp_path, segment):
    segment.thread().record(SPAN_END, 5, *words(1, 0, TRACE, 0, 1 << 63, 1 << 62), 0xFFFFFF05, 1)
    (row,) = rows_of(tmp_path, segment)
    assert row["name"] == ""


def test_nothing_without_spans(tmp_path):
    segment = synth.Segment()
    segment.thread().call(1, 1, 2)
    assert rows_of(tmp_path, segment) == []
