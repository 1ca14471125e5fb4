"""The comparison and the readers of the product's outputs, on inputs written by hand."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from oracle import compare, from_chrome, from_otlp, from_perfetto, slack
from oracle.compare import Call, Track
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

MODULE = Call(0, compare.PROGRAM, "python")


def track(*lines: str, name: str = "MainThread") -> Track:
    """Calls written as indented names; two spaces a level."""
    calls = []
    for line in lines:
        text = line.lstrip()
        calls.append(Call((len(line) - len(text)) // 2, text, "c" if "." in text else "python"))
    return Track(name, calls)


def test_equal_tracks_have_no_difference() -> None:
    calls = track("a", "  b", "  b").calls
    assert compare.first_difference(calls, list(calls)) is None


@pytest.mark.parametrize(
    "shown",
    [
        ["a", "  b", "    b", "c.d"],  # other nesting
        ["a", "  b", "  x", "c.d"],  # another name
        ["a", "  b", "  b"],  # one missing
        ["a", "  b", "  b", "c.d", "c.d"],  # one too many
    ],
)
def test_a_difference_is_found_and_shown(shown: list[str]) -> None:
    truth = track("a", "  b", "  b", "c.d").calls
    message = compare.first_difference(truth, track(*shown).calls)
    assert message is not None
    assert "differ" in message
    assert "counts" in message


def test_how_a_call_ended_is_compared() -> None:
    raised = [Call(0, "a", "python", "unwind", "KeyError")]
    assert compare.first_difference(raised, list(raised)) is None
    assert compare.first_difference(raised, [Call(0, "a", "python")]) is not None
    assert compare.first_difference(raised, [Call(0, "a", "python", "unwind", "OSError")])
    untold = compare.first_difference(raised, [Call(0, "a", "python", "unwind")])
    assert (untold is None) == (sys.version_info < (3, 12))
    names_only = ("depth", "name")
    assert compare.first_difference(raised, [Call(0, "a", "python")], names_only) is None


def test_only_what_is_below_the_program_is_compared_in_its_track() -> None:
    plain = [track(compare.PROGRAM, "  f")]
    deeper = [track("start-up", "run", f"  {compare.PROGRAM}", "    f", "  after")]
    deeper[0].calls[2] = Call(1, compare.PROGRAM, "python")
    plain[0].calls[0] = MODULE
    compare.assert_same(plain, deeper)


def test_missing_threads_are_an_error() -> None:
    main = Track("MainThread", [MODULE])
    with pytest.raises(AssertionError, match="threads differ"):
        compare.assert_same([main, track("run", name="w")], [main])
    with pytest.raises(AssertionError, match="threads differ"):
        compare.assert_same([main, track("run", name="w")], [main, track("run", name="x")])
    with pytest.raises(AssertionError, match="no call of"):
        compare.assert_same([main], [track("a")])


def test_the_machinery_of_imports_is_left_out_but_not_the_modules_asked_for() -> None:
    lines = (
        "f",
        "  importlib._bootstrap._find_and_load",
        "    dict.get",
        "    _frozen_importlib_external.exec_module",
        "      builtins.exec",
        "        one.<module>",
        "          one.f",
        "        two.<module>",
        "          two.f",
        "  g",
    )
    names = [call.name for call in slack.comparable(track(*lines), {"one"}).calls]
    assert names == ["f", "one.<module>", "one.f", "g"]
    assert [call.depth for call in slack.comparable(track(*lines), {"one"}).calls] == [0, 1, 2, 1]
    assert [call.name for call in slack.comparable(track(*lines)).calls] == ["f", "g"]


def test_what_the_scheduler_decides_is_left_out() -> None:
    lines = ("threading.Event.wait", "  threading.Condition.wait", "    x.y", "z")
    calls = slack.comparable(track(*lines)).calls
    assert [call.name for call in calls] == ["threading.Event.wait", "z"]


# -- Chrome


def chrome(path: Path, rows: str) -> list[Track]:
    names = '{"ph":"M","pid":1,"tid":2,"name":"thread_name","args":{"name":"w"}}'
    path.write_text('{"traceEvents":[' + names + "," + rows + "]}", encoding="utf-8")
    return from_chrome.load(path)


def row(name: str, start: str, duration: str | None, more: str = "") -> str:
    end = f'"ph":"X","dur":{duration}' if duration else '"ph":"B"'
    args = f'"args":{{"file":"f.py","line":3{more}}}'
    return f'{{{end},"pid":1,"tid":2,"ts":{start},"name":"{name}","cat":"python",{args}}}'


def test_chrome_rows_are_nested_by_their_times(tmp_path: Path) -> None:
    rows = [
        row("b", "1.100", "0.200"),
        row("c", "1.300", "0.700", ',"ended":"unwind","exception":"KeyError"'),
        row("a", "1.000", "1.000"),
        row("d", "2.000", "0.001"),
        row("late", "4.5", "1"),
        row("open", "3.000", None),
    ]
    (found,) = chrome(tmp_path / "t.json", ",".join(rows))
    assert found.name == "w"
    assert [(c.depth, c.name, c.ended) for c in found.calls] == [
        (0, "a", "return"),
        (1, "b", "return"),
        (1, "c", "unwind"),
        (0, "d", "return"),
        (0, "open", "open"),
        (1, "late", "return"),
    ]
    assert found.calls[2] == Call(1, "c", "python", "unwind", "KeyError", "f.py", 3)


def test_chrome_rows_that_cross_are_refused(tmp_path: Path) -> None:
    rows = [row("a", "1.000", "1.000"), row("b", "1.500", "0.501")]
    with pytest.raises(AssertionError, match="overlaps"):
        chrome(tmp_path / "t.json", ",".join(rows))
    with pytest.raises(AssertionError, match="whole number"):
        chrome(tmp_path / "t.json", row("a", "1.0005", "1"))
    with pytest.raises(AssertionError, match="not JSON"):
        chrome(tmp_path / "t.json", row("a", "NaN", "1"))


def test_chrome_in_gzip(tmp_path: Path) -> None:
    document = json.dumps({"traceEvents": [json.loads(row("a", "1", "2"))]})
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(document.encode()))
    assert from_chrome.load(path)[0].calls[0].name == "a"


# -- Perfetto


def perfetto_trace() -> Any:
    """One thread: a(b unwind) then c open; interned names, an incremental clock, defaults."""
    trace = pb.Trace()
    packet = trace.packet.add(trusted_packet_sequence_id=1, sequence_flags=1)
    packet.track_descriptor.uuid = 7
    packet.track_descriptor.thread.thread_name = "w"
    packet = trace.packet.add(trusted_packet_sequence_id=1, sequence_flags=2)
    clock = packet.clock_snapshot.clocks.add(clock_id=64, timestamp=1000, is_incremental=True)
    assert clock.is_incremental
    packet.trace_packet_defaults.timestamp_clock_id = 64
    packet.trace_packet_defaults.track_event_defaults.track_uuid = 7
    for iid, name in enumerate("abc", 1):
        packet.interned_data.event_names.add(iid=iid, name=name)
    packet.interned_data.event_categories.add(iid=1, name="python")
    packet.interned_data.debug_annotation_names.add(iid=1, name="ended")
    for name_iid in (1, 2, None, None, 3):
        packet = trace.packet.add(trusted_packet_sequence_id=1, sequence_flags=2, timestamp=5)
        event = packet.track_event
        event.type = event.TYPE_SLICE_BEGIN if name_iid else event.TYPE_SLICE_END
        if name_iid:
            event.name_iid = name_iid
            event.category_iids.append(1)
        if name_iid == 2:
            event.debug_annotations.add(name_iid=1, string_value="unwind")
    return trace


def test_perfetto_packets_become_calls(tmp_path: Path) -> None:
    path = tmp_path / "t.pftrace"
    path.write_bytes(perfetto_trace().SerializeToString())
    assert from_perfetto.load(path) == [
        Track(
            "w",
            [
                Call(0, "a", "python"),
                Call(1, "b", "python", "unwind"),
                Call(0, "c", "python", "open"),
            ],
        )
    ]


def test_perfetto_events_need_their_state(tmp_path: Path) -> None:
    path = tmp_path / "t.pftrace"
    trace = perfetto_trace()
    trace.packet[0].sequence_flags = 0
    path.write_bytes(trace.SerializeToString())
    with pytest.raises(AssertionError, match="never begun"):
        from_perfetto.load(path)


# -- OTLP


def span(id_: str, parent: str, name: str, times: tuple[int, int], **facts: str) -> dict[str, Any]:
    return {
        "spanId": id_,
        "parentSpanId": parent,
        "name": name,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "attributes": [
            {"key": key.replace("__", "."), "value": {"stringValue": value}}
            for key, value in facts.items()
        ],
    }


def test_otlp_spans_become_calls() -> None:
    raising = span("5", "3", "g", (5, 6), code__file__path="g.py")
    value = {"stringValue": "KeyError"}
    raising["events"] = [
        {"name": "exception", "attributes": [{"key": "exception.type", "value": value}]}
    ]
    spans = [
        span("4", "3", "int", (3, 4)),
        raising,
        span("3", "2", "f", (2, 8), code__file__path="f.py"),
        span("2", "1", "MainThread", (1, 9), thread__name="MainThread"),
        span("1", "", "app.py", (0, 10)),
    ]
    document = {"result": {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}}
    assert from_otlp.load(document) == [
        Track(
            "MainThread",
            [
                Call(0, "f", "python", file="f.py"),
                Call(1, "int", "c"),
                Call(1, "g", "python", "unwind", "KeyError", "g.py"),
            ],
        )
    ]
    spans[0]["endTimeUnixNano"] = "9"
    with pytest.raises(AssertionError, match="inside"):
        from_otlp.load(document)
