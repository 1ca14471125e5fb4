import json

import pytest
from unit.recording import synth

from otrace.errors import RecordingError
from otrace.recording import CallFlag, Recording


def rows(track):
    return [
        (
            track.process.functions[function].name,
            start,
            duration,
            depth,
            parent,
            CallFlag(flags),
        )
        for batch in track.batches()
        for function, start, duration, depth, parent, flags in zip(
            batch.function,
            batch.start_ns,
            batch.duration_ns,
            batch.depth,
            batch.parent,
            batch.flags,
            strict=True,
        )
    ]


@pytest.fixture
def segment():
    segment = synth.Segment()
    segment.name(1, "main", "__main__", "/app/main.py", 3)
    segment.name(2, "len", "builtins", kind=synth.C)
    segment.text(3, "ValueError")
    return segment


def test_warnings_of_recorders_are_told_once(tmp_path):
    for number, text in enumerate(("no id is free", "no id is free", "it is hot")):
        segment = synth.Segment(pid=100 + number)
        segment.note("warning", text)
        segment.write(tmp_path, number)
    recording = Recording.open(tmp_path)
    assert recording.warnings == ["2 processes: no id is free", "process 102: it is hot"]


def test_one_segment(tmp_path, segment):
    main = segment.thread("MainThread")
    main.begin(1, 100)
    main.call(2, 110, 120, synth.C_BEGIN)
    main.end(1, 200, exc=3)
    main.begin(1, 300)
    segment.process_name("app")
    segment.note("hook", "monitoring")
    segment.end_ns = 1000
    recording = Recording.open(segment.write(tmp_path))
    (process,) = recording.processes
    assert (process.pid, process.parent_pid, process.name) == (100, 1, "app")
    assert (process.python_version, process.state) == ("3.13.0", "ended")
    assert (process.start_ns, process.end_ns) == (0, 1000)
    assert process.notes == {"hook": "monitoring"}
    assert recording.manifest is None
    assert recording.warnings == []
    assert recording.start_mono_ns == synth.START
    assert recording.start_wall_ns == synth.WALL + synth.START
    assert recording.duration_ns == 1000
    (track,) = process.tracks
    assert (track.name, track.os_tid, track.start_ns, track.end_ns) == ("MainThread", 100, 0, None)
    assert track.loss is None
    assert rows(track) == [
        ("builtins.len", 110, 10, 1, 0, CallFlag.C),
        ("__main__.main", 100, 100, 0, -1, CallFlag.UNWOUND),
        ("__main__.main", 300, -1, 0, -1, CallFlag.OPEN),
    ]
    (batch,) = track.batches()
    assert [process.functions[e].name for e in batch.exception] == [
        "<unknown 0>",
        "ValueError",
        "<unknown 0>",
    ]
    assert list(batch.index) == [1, 0, 2]


def test_functions(tmp_path, segment):
    segment.name(5, "ev\udc80il\n", "mod", kind=synth.PYTHON)
    segment.name(6, b"\xff\xfe", "m")
    functions = Recording.open(segment.write(tmp_path)).processes[0].functions
    assert len(functions) == 7
    main = functions[1]
    assert (main.kind, main.name, main.file, main.line) == (
        "python",
        "__main__.main",
        "/app/main.py",
        3,
    )
    assert (functions[2].kind, functions[2].name) == ("c", "builtins.len")
    assert (functions[3].kind, functions[3].name) == ("text", "ValueError")
    assert functions[4].kind == functions[99].kind == "unknown"
    assert functions[5].name == "mod.ev\udc80il\n"
    assert functions[6].name == "m.\\xff\\xfe"
    assert [function.id for function in functions] == list(range(7))


def test_processes_share_a_clock(tmp_path):
    """Ticks at a rate that no machine has; the same moment in two processes is the same time."""
    for pid, start in ((100, 5_000_000_000), (200, 5_300_000_000)):
        segment = synth.Segment(pid, 512, synth.TSC, rate=1.2345, start_ns=start)
        segment.name(1, "f", "m")
        thread = segment.thread()
        moment = 5_400_000_000 - start
        for i in range(100):
            thread.call(1, moment + 1000 * i, moment + 1000 * i + 500)
        segment.end_ns = 5_500_000_000 - start
        segment.write(tmp_path / "s.otrace")
    recording = Recording.open(tmp_path / "s.otrace")
    first, second = (
        [row[1:3] for row in rows(process.tracks[0])] for process in recording.processes
    )
    assert first == second
    assert len(first) == 100
    for i, (start, duration) in enumerate(first):
        assert abs(start - (400_000_000 + 1000 * i)) <= 2
        assert abs(duration - 500) <= 2


def test_threads_and_losses(tmp_path, segment):
    segment.lost = (3, 70, 140)
    segment.thread("MainThread", lost=(70, 140, 10, 5000)).call(1, 6000, 6100)
    other = segment.thread("late name", os_tid=100, end=9000)
    other.call(1, 7000, 7100)
    segment.add_meta(3, 2, "later name")
    segment.thread()
    (process,) = Recording.open(segment.write(tmp_path)).processes
    main, other, silent = process.tracks
    assert (main.loss.calls, main.loss.records) == (70, 140)
    assert (main.loss.start_ns, main.loss.end_ns) == (10, 5000)
    assert (process.losses.chunks, process.losses.calls, process.losses.records) == (3, 70, 140)
    assert (other.name, other.os_tid, other.end_ns) == ("later name", 100, 9000)
    assert silent.name == "thread 102"
    assert rows(silent) == []
    assert len({track.id for track in process.tracks}) == 3


def test_batches_are_bounded_and_keep_their_columns(tmp_path, segment):
    main = segment.thread()
    for i in range(1000):
        main.call(1, 100 * i, 100 * i + 50)
    track = Recording.open(segment.write(tmp_path)).processes[0].tracks[0]
    batches = list(track.batches(rows=300))
    assert [len(batch) for batch in batches] == [300, 300, 300, 100]
    starts = [start for batch in batches for start in batch.start_ns]
    assert starts == [100 * i for i in range(1000)]


def test_marks(tmp_path, segment):
    for number, text in enumerate(("load", "rows", "text", "x", "y", "queue", "hit"), 4):
        segment.text(number, text)
    main = segment.thread()
    main.begin(1, 10)
    begin = synth.attributes(_5=3, _6="a\udc80", _7=[1, [2.5, None]], _8=True)
    main.record(synth.EVENT_BEGIN, 20, 1, 4, *begin)
    main.record(synth.INSTANT, 25, 10, *synth.attributes(_5=1 << 80), flags=1)
    main.record(synth.EVENT_END, 30, 1, 3, *synth.attributes(_8=False))
    main.record(synth.COUNTER, 35, 9, *synth.attributes(_7=5, _8=float("-inf")))
    main.end(1, 40)
    track = Recording.open(segment.write(tmp_path)).processes[0].tracks[0]
    assert [row[:3] for row in rows(track)] == [("load", 20, 10), ("__main__.main", 10, 30)]
    (batch,) = track.batches()
    instant, event, counter = batch.marks
    assert batch.marks is batch.marks
    assert (instant.kind, instant.name, instant.time_ns) == ("instant", "hit", 25)
    assert (instant.scope, instant.attributes) == ("process", {"rows": 1 << 80})
    assert instant.parent == 1  # the event's index
    assert (event.kind, event.name, event.row, event.instance) == ("event", "load", 0, 1)
    assert event.attributes == {"rows": 3, "text": "a\udc80", "x": [1, [2.5, None]], "y": False}
    assert (counter.kind, counter.attributes) == ("counter", {"x": 5, "y": float("-inf")})
    assert CallFlag(batch.flags[0]) == CallFlag.EVENT | CallFlag.UNWOUND


def test_summary(tmp_path, segment):
    segment.min_duration = 50
    main = segment.thread()
    main.begin(1, 10)
    main.call(2, 20, 30, synth.C_BEGIN)
    main.call(2, 40, 100, synth.C_BEGIN)
    main.record(synth.INSTANT, 110, 3)
    main.record(synth.COUNTER, 120, 3)
    track = Recording.open(segment.write(tmp_path)).processes[0].tracks[0]
    summary = track.summary()
    assert (summary.calls, summary.calls_python, summary.calls_c) == (2, 1, 1)
    assert (summary.calls_short, summary.calls_open) == (1, 1)
    assert (summary.instants, summary.counters, summary.events) == (1, 1, 0)
    assert (summary.first_ns, summary.last_ns, summary.max_depth) == (0, 120, 2)
    assert summary.record_bytes == 80 + 4 * (4 + 5 + 4 + 4)


def test_end_of_a_killed_process(tmp_path, segment):
    segment.thread().call(1, 10, 5000)
    recording = Recording.open(segment.write(tmp_path))
    assert (recording.processes[0].state, recording.duration_ns) == ("recording", 5000)


def test_dump(tmp_path, segment):
    main = segment.thread()
    main.begin(1, 10)
    main.end(1, 100_000, exc=3)
    main.record(synth.INSTANT, 100_010, 3)
    recording = Recording.open(segment.write(tmp_path))
    lines = b"".join(recording.dump()).decode().splitlines()
    assert lines[0].startswith("# process 100: ")
    assert lines[1].startswith("# chunk 1 slot=0 thread=1 thread_sequence=1 state=1 ")
    first = synth.PAGE + synth.META + 80
    assert lines[2:] == [
        f"1 1 {first} SYNC @{synth.START} open=0",
        f"1 1 {first + 16} BEGIN 1 +10 __main__.main",
        f"1 1 {first + 20} TIME 1",
        f"1 1 {first + 24} EXC 3 ValueError",
        f"1 1 {first + 28} END 1 +{99_990 - 65536} __main__.main",
        f"1 1 {first + 32} INSTANT 3 @{synth.START + 100_010} flags=0 words=0 ValueError",
    ]


def test_manifest(tmp_path, segment):
    segment.write(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "program": "app.py"}))
    (tmp_path / ".100-1.part").write_bytes(b"half")
    (tmp_path / "100.failed").write_text("why")
    recording = Recording.open(tmp_path)
    assert recording.manifest == {"format": 1, "program": "app.py"}
    assert recording.warnings == []
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    recording = Recording.open(tmp_path)
    assert recording.manifest is None
    assert recording.warnings == [f"cannot read {tmp_path}/manifest.json: it is damaged"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty"),
        (bytes(5000), "it is empty"),
        (b"\x7fELF" + bytes(100), "not a segment of otrace"),
        (b"abc", "not a segment of otrace"),
    ],
)
def test_no_segment(tmp_path, content, cause):
    path = tmp_path / "1-0.segment"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=cause) as caught:
        Recording.open(path)
    assert str(path) in str(caught.value)
    with pytest.raises(RecordingError, match="holds nothing that can be read"):
        Recording.open(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(RecordingError, match="No such file"):
        Recording.open(tmp_path / "missing.otrace")
    with pytest.raises(RecordingError, match="is no recording"):
        Recording.open(tmp_path)


def test_links_are_not_followed(tmp_path, segment):
    segment.write(tmp_path / "real")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "1-0.segment").symlink_to(tmp_path / "real" / "100-0.segment")
    with pytest.raises(RecordingError, match="holds nothing"):
        Recording.open(tmp_path / "link")


@pytest.mark.parametrize(
    ("offset", "data", "cause"),
    [
        (8, b"\2\0\0\0", "format 2, which is newer"),
        (16, b"\1\2\3\4", "not a segment"),
        (20, b"\x63\0\0\0", "clock_kind is 99"),
        (64, b"\3\0\0\0", "chunk_size is 3"),
        (40, b"\xff" * 8, "meta_offset"),
        (56, b"\xff" * 8, "meta_offset|chunks_offset"),
    ],
)
def test_damaged_header(tmp_path, segment, offset, data, cause):
    path = segment.write(tmp_path)
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=cause):
        Recording.open(path)


def test_one_damaged_segment_leaves_the_others(tmp_path, segment):
    segment.write(tmp_path)
    (tmp_path / "7-0.segment").write_bytes(b"junk" * 100)
    recording = Recording.open(tmp_path)
    assert len(recording.processes) == 1
    (warning,) = recording.warnings
    assert "7-0.segment: it is not a segment" in warning


def test_cut_file(tmp_path):
    segment = synth.Segment(chunk_size=512)
    segment.name(1, "f", "m")
    main = segment.thread()
    for i in range(500):
        main.call(1, 100 * i, 100 * i + 50)
    path = segment.write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: synth.PAGE + synth.META + 512 * 3 + 200])
    recording = Recording.open(path)
    shown = rows(recording.processes[0].tracks[0])
    assert 100 < len(shown) < 200
    assert [row[1] for row in shown] == [100 * i for i in range(len(shown))]
    assert recording.warnings == ["process 100: the file is cut: its last chunks are missing"]


def test_unreadable_records_are_told(tmp_path, segment):
    main = segment.thread()
    main.call(1, 10, 20)
    main.words.append(0x00FFFFFF)
    main.call(1, 30, 40)
    recording = Recording.open(segment.write(tmp_path))
    assert len(rows(recording.processes[0].tracks[0])) == 1
    assert "some records are unreadable" in recording.warnings[0]


def test_many_processes(tmp_path):
    """More segments than the usual limit of open files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(64, hard), hard))
    try:
        for pid in range(1, 101):
            synth.Segment(pid).write(tmp_path)
        assert len(Recording.open(tmp_path).processes) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
