import json

import pytest
from unit.recording import synth

from otrace.encoding import chrome_blocks
from otrace.recording import Recording


@pytest.fixture
def segment():
    segment = synth.Segment()
    segment.name(1, "main", "__main__", "/app/main.py", 3)
    segment.name(2, "len", "builtins", kind=synth.C)
    for number, text in enumerate(("ValueError", "load", "rows", "queue"), 3):
        segment.text(number, text)
    return segment


def text_of(tmp_path, segment, **options):
    recording = Recording.open(segment.write(tmp_path))
    blocks = chrome_blocks(recording.processes[0].tracks[0], **options)
    return b"".join(bytes(block) for block in blocks).decode()


def rows_of(tmp_path, segment, **options):
    def strict(constant):
        raise ValueError(constant)

    text = text_of(tmp_path, segment, **options)
    assert text.endswith(",\n") or not text
    return json.loads("[" + text.removesuffix(",\n") + "]", parse_constant=strict)


def test_rows(tmp_path, segment):
    main = segment.thread()
    main.begin(1, 1_234_567)
    main.call(2, 1_300_000, 1_300_042, synth.C_BEGIN)
    main.end(1, 2_000_000, exc=3)
    main.begin(1, 2_000_100)
    assert text_of(tmp_path, segment) == (
        '{"ph":"X","pid":100,"tid":100,"ts":1301.000,"dur":0.042,"name":"builtins.len","cat":"c"},\n'
        '{"ph":"X","pid":100,"tid":100,"ts":1235.567,"dur":765.433,"name":"__main__.main",'
        '"cat":"python","args":{"file":"/app/main.py","line":3,"ended":"unwind",'
        '"exception":"ValueError"}},\n'
        '{"ph":"B","pid":100,"tid":100,"ts":2001.100,"name":"__main__.main","cat":"python",'
        '"args":{"file":"/app/main.py","line":3}},\n'
    )


def test_the_first_ts_is_above_zero(tmp_path, segment):
    segment.thread().call(1, 0, 10)
    (row,) = rows_of(tmp_path, segment, pid=7, tid=8)
    assert (row["ts"], row["dur"], row["pid"], row["tid"]) == (1.0, 0.01, 7, 8)
    assert row["args"] == {"file": "/app/main.py", "line": 3}


def test_generators_and_inferred_ends(tmp_path, segment):
    main = segment.thread()
    main.begin(1, 10)
    main.end(1, 20, synth.YIELD)
    main.begin(1, 30, synth.RESUME, exc=3)
    main.begin(2, 40, synth.C_BEGIN)
    main.end(1, 50)
    extra = [
        {key: item for key, item in row.get("args", {}).items() if key not in ("file", "line")}
        for row in rows_of(tmp_path, segment)
    ]
    assert extra == [
        {"ended": "yield"},
        {"inferred": True},
        {"resumed": True, "thrown": True, "exception": "ValueError"},
    ]


AWKWARD = 'quote " back \\ tab \t nul \0 esc \x1b del \x7f é → 😀 </script>'


def test_awkward_text(tmp_path, segment):
    segment.name(7, AWKWARD, "m", AWKWARD, 1)
    segment.name(8, "lone \ud83d\udc80 end", "m")
    segment.name(9, b"bytes \xff\xc0\x80 \xed\xa0 \xf0\x9f\x98", "m")
    main = segment.thread()
    for number in (7, 8, 9):
        main.call(number, 100 * number, 100 * number + 50)
    first, second, third = rows_of(tmp_path, segment)
    assert (first["name"], first["args"]["file"]) == (f"m.{AWKWARD}", AWKWARD)
    assert second["name"] == "m.lone \\ud83d\\udc80 end"
    assert third["name"] == "m.bytes \\xff\\xc0\\x80 \\xed\\xa0 \\xf0\\x9f\\x98"
    raw = text_of(tmp_path, segment)
    assert "é → 😀" in raw  # viewers do not read \u escapes
    assert "\\u00" in raw
    assert "\\ud" not in raw.replace("\\\\ud", "")


def test_a_last_backslash(tmp_path, segment):
    """Perfetto's UI takes the quote behind it for an escaped one, so it is written in hex."""
    segment.name(7, "a\\b\\\\", "m", "C:\\", 1)
    main = segment.thread()
    main.call(7, 100, 200)
    main.record(synth.INSTANT, 300, 4, *synth.attributes(_5="q\\"))
    row, instant = rows_of(tmp_path, segment)
    assert (row["name"], row["args"]["file"]) == ("m.a\\b\\\\", "C:\\")
    assert instant["args"] == {"rows": "q\\"}
    assert '\\\\"' not in text_of(tmp_path, segment)


def test_values(tmp_path, segment):
    values = {
        "none": None, "yes": True, "no": False, "int": -(1 << 63), "float": 0.1, "whole": 2.0,
        "small": 5e-324, "text": "é\ud800\n", "list": [1, [], ["x", [None]]],
    }  # fmt: skip
    odd = {"nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "big": 1 << 200}
    words = []
    for number, (key, item) in enumerate({**values, **odd}.items(), 20):
        segment.text(number, key)
        words += [number, *synth.value(item)]
    main = segment.thread()
    main.record(synth.INSTANT, 5, 4, *words, flags=2)
    (row,) = rows_of(tmp_path, segment)
    assert (row["ph"], row["s"], row["cat"], row["name"]) == ("i", "g", "instant", "load")
    assert row["args"] == {
        **values,
        "text": "é\\ud800\n",
        "nan": "NaN",
        "inf": "Infinity",
        "minus": "-Infinity",
        "big": str(1 << 200),
    }


def test_events_and_counters(tmp_path, segment):
    main = segment.thread()
    main.begin(1, 10)
    main.record(synth.EVENT_BEGIN, 20, 1, 4, *synth.attributes(_5=3, _6=1))
    main.record(synth.EVENT_END, 30, 1, 3, *synth.attributes(_5=4))
    main.record(synth.EVENT_BEGIN, 40, 2, 4, *synth.attributes(_5=5))
    main.end(1, 50)
    main.record(synth.EVENT_END, 60, 2, 0)
    main.record(synth.COUNTER, 70, 6, *synth.attributes(_5=5, _4=1.5))
    rows = rows_of(tmp_path, segment)
    nested, call, begin, end, counter = rows
    assert (nested["ph"], nested["cat"], nested["ts"], nested["dur"]) == ("X", "event", 1.02, 0.01)
    assert nested["args"] == {
        "ended": "unwind",
        "exception": "ValueError",
        "queue": 1,
        "rows": 4,
    }
    assert call["name"] == "__main__.main"
    assert (begin["ph"], begin["ts"], begin["args"]) == ("b", 1.04, {"rows": 5})
    assert (end["ph"], end["ts"]) == ("e", 1.06)
    assert begin["id"] == end["id"]
    assert begin["cat"] == end["cat"] == "event"
    assert (counter["ph"], counter["args"]) == ("C", {"rows": 5, "load": 1.5})


def test_losses_have_a_row(tmp_path, segment):
    main = segment.thread(lost=(70, 140, 10, 5000))
    main.call(1, 6000, 6100)
    begin, end, call = rows_of(tmp_path, segment)
    assert (begin["ph"], begin["name"], begin["ts"]) == ("b", "lost", 1.01)
    assert begin["args"] == {"calls": 70, "records": 140}
    assert (end["ph"], end["ts"], end["id"]) == ("e", 6.0, begin["id"])
    assert call["name"] == "__main__.main"


def test_short_calls_are_left_out(tmp_path, segment):
    segment.min_duration = 50
    main = segment.thread()
    main.begin(1, 10)
    main.call(2, 20, 69, synth.C_BEGIN)
    main.call(2, 70, 120, synth.C_BEGIN)
    main.end(1, 130)
    assert [(row["name"], row["ts"]) for row in rows_of(tmp_path, segment)] == [
        ("builtins.len", 1.07),
        ("__main__.main", 1.01),
    ]


def test_rows_longer_than_a_block(tmp_path, segment):
    segment.name(10, "x" * 20_000, "m")
    main = segment.thread()
    for i in range(50):
        main.call(10, 100 * i, 100 * i + 50)
    main.record(synth.INSTANT, 9000, 4, *synth.attributes(_5="\0" * 1000))
    rows = rows_of(tmp_path, segment, block_size=4096)
    assert [row["name"] for row in rows] == ["m." + "x" * 20_000] * 50 + ["load"]
    assert rows[-1]["args"] == {"rows": "\0" * 1000}


def test_unknown_names(tmp_path, segment):
    main = segment.thread()
    main.call(4000, 10, 20)
    main.begin(1 << 20, 30)
    assert [row["name"] for row in rows_of(tmp_path, segment)] == [
        "<unknown 4000>",
        "<unknown 1048576>",
    ]


def test_the_segment_outlives_its_recording(tmp_path, segment):
    main = segment.thread()
    for i in range(2000):
        main.call(1, 100 * i, 100 * i + 50)
    blocks = chrome_blocks(
        Recording.open(segment.write(tmp_path)).processes[0].tracks[0], block_size=4096
    )
    assert sum(bytes(block).count(b"\n") for block in blocks) == 2000


def test_the_blocks_know_what_is_in_them(tmp_path, segment):
    main = segment.thread()
    main.begin(1, 50)
    main.begin(1, 70)
    main.call(2, 80, 90, synth.C_BEGIN)
    main.end(1, 100)
    blocks = chrome_blocks(Recording.open(segment.write(tmp_path)).processes[0].tracks[0])
    assert (blocks.calls, blocks.first_ns) == (0, None)
    for _ in blocks:
        pass
    assert (blocks.calls, blocks.first_ns) == (3, 50)


def test_names_that_chromes_devtools_takes_for_its_own_are_kept_apart(tmp_path, segment):
    segment.name(7, "Paint", "", "/app/main.py", 5)
    segment.text(8, "firstPaint")
    main = segment.thread()
    main.call(7, 10, 20)
    main.record(synth.INSTANT, 30, 8)
    main.record(synth.INSTANT, 40, 6)
    names = [row["name"] for row in rows_of(tmp_path, segment)]
    assert names == ["Paint (python)", "firstPaint (instant)", "queue"]
