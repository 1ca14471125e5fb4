"""The Perfetto encoder, read back by Perfetto's own protobuf classes."""

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb
from unit.recording import synth

from otrace.encoding import perfetto_blocks, perfetto_process
from otrace.recording import Recording

PROCESS, THREAD, SEQUENCE = 11, 12, 3
Event = pb.TrackEvent


@pytest.fixture
def segment():
    segment = synth.Segment()
    segment.name(1, "main", "__main__", "/app/main.py", 3)
    segment.name(2, "len", "builtins", kind=synth.C)
    for number, text in enumerate(("ValueError", "load", "rows", "queue"), 3):
        segment.text(number, text)
    return segment


def blocks_of(tmp_path, segment, **options):
    recording = Recording.open(segment.write(tmp_path))
    return perfetto_blocks(
        recording.processes[0].tracks[0],
        sequence=SEQUENCE,
        process_uuid=PROCESS,
        thread_uuid=THREAD,
        base_mono_ns=recording.start_mono_ns,
        base_wall_ns=recording.start_wall_ns,
        **options,
    )


def encode(tmp_path, segment, **options):
    return b"".join(map(bytes, blocks_of(tmp_path, segment, **options)))


class Reader:
    """Follows a sequence as Perfetto's documentation describes it."""

    def __init__(self, data):
        trace = pb.Trace.FromString(data)
        self.tracks, self.events, self.clocks = {}, [], {}
        interned = {"names": {}, "categories": {}, "sources": {}, "annotations": {}}
        interned["texts"] = {}
        now = default_clock = default_track = None
        for packet in trace.packet:
            assert packet.trusted_packet_sequence_id == SEQUENCE
            if packet.HasField("trace_packet_defaults"):
                default_clock = packet.trace_packet_defaults.timestamp_clock_id
                default_track = packet.trace_packet_defaults.track_event_defaults.track_uuid
            if packet.HasField("clock_snapshot"):
                for clock in packet.clock_snapshot.clocks:
                    self.clocks[clock.clock_id] = clock.timestamp
                    if clock.is_incremental:
                        now = clock.timestamp
                self.primary = packet.clock_snapshot.primary_trace_clock
            data = packet.interned_data
            interned["names"].update((entry.iid, entry.name) for entry in data.event_names)
            interned["categories"].update((e.iid, e.name) for e in data.event_categories)
            interned["sources"].update((e.iid, e) for e in data.source_locations)
            interned["annotations"].update((e.iid, e.name) for e in data.debug_annotation_names)
            interned["texts"].update((e.iid, e.str) for e in data.debug_annotation_string_values)
            if packet.HasField("track_descriptor"):
                self.tracks[packet.track_descriptor.uuid] = packet.track_descriptor
            if packet.HasField("track_event"):
                if packet.timestamp_clock_id == 0:
                    assert default_clock == 64
                    now += packet.timestamp
                    time = now
                else:
                    assert packet.timestamp_clock_id == 3
                    time = packet.timestamp
                self._add(packet.track_event, time - self.clocks[3], default_track, interned)

    def _add(self, event, time, default_track, interned):
        shown = {"type": event.type, "time": time}
        shown["track"] = event.track_uuid if event.HasField("track_uuid") else default_track
        if event.name_iid:
            shown["name"] = interned["names"][event.name_iid]
        elif event.name:
            shown["name"] = event.name
        if event.category_iids:
            (shown["category"],) = (interned["categories"][i] for i in event.category_iids)
        if event.source_location_iid:
            source = interned["sources"][event.source_location_iid]
            shown["source"] = (source.file_name, source.line_number)
        if event.debug_annotations:
            shown["args"] = {
                interned["annotations"][a.name_iid] if a.name_iid else a.name: self._value(
                    a, interned["texts"]
                )
                for a in event.debug_annotations
            }
        for field in ("counter_value", "double_counter_value"):
            if event.HasField(field):
                shown["value"] = getattr(event, field)
        self.events.append(shown)

    def _value(self, annotation, texts):
        if annotation.array_values:
            return [self._value(item, texts) for item in annotation.array_values]
        field = annotation.WhichOneof("value")
        if field == "string_value_iid":
            return texts[annotation.string_value_iid].decode()
        return None if field is None else getattr(annotation, field)

    def at(self, kind):
        return [event for event in self.events if event["type"] == kind]


def test_calls(tmp_path, segment):
    main = segment.thread("Main\udc80Thread")
    main.begin(1, 10)
    main.call(2, 300, 400, synth.C_BEGIN)
    main.end(1, 100_000, exc=3)
    main.begin(1, 200_000)
    read = Reader(encode(tmp_path, segment, order=5))
    assert read.clocks == {
        3: synth.START,
        1: synth.WALL + synth.START,
        64: synth.START,
    }
    assert read.primary == 3
    track = read.tracks[THREAD]
    assert (track.parent_uuid, track.sibling_order_rank) == (PROCESS, 5)
    assert (track.thread.pid, track.thread.tid) == (100, 100)
    assert track.thread.thread_name == "Main\\udc80Thread"
    source = {"source": ("/app/main.py", 3), "category": "python", "name": "__main__.main"}
    on = {"track": THREAD}
    assert read.events == [
        {"type": Event.TYPE_SLICE_BEGIN, "time": 10, **on, **source},
        {
            "type": Event.TYPE_SLICE_BEGIN,
            "time": 300,
            **on,
            "name": "builtins.len",
            "category": "c",
        },
        {"type": Event.TYPE_SLICE_END, "time": 400, **on},
        {
            "type": Event.TYPE_SLICE_END,
            "time": 100_000,
            **on,
            "args": {"ended": "unwind", "exception": "ValueError"},
        },
        {"type": Event.TYPE_SLICE_BEGIN, "time": 200_000, **on, **source},
    ]


def test_the_blocks_know_what_is_in_them(tmp_path, segment):
    main = segment.thread()
    main.record(synth.INSTANT, 25, 4)
    main.begin(1, 70)
    main.record(synth.EVENT_BEGIN, 75, 1, 4)
    main.call(2, 80, 90, synth.C_BEGIN)
    main.record(synth.EVENT_END, 95, 1, 0)
    blocks = blocks_of(tmp_path, segment)
    assert (blocks.calls, blocks.first_ns) == (0, None)
    for _ in blocks:
        pass
    assert (blocks.calls, blocks.first_ns) == (2, 70)
    idle = blocks_of(tmp_path, segment_of_an_idle_thread())
    assert Reader(b"".join(map(bytes, idle))).tracks[THREAD].thread.thread_name == "idle"
    assert (idle.calls, idle.first_ns) == (0, None)


def segment_of_an_idle_thread():
    segment = synth.Segment()
    segment.thread("idle")
    return segment


def test_the_state_is_cleared_first(tmp_path, segment):
    segment.thread().call(1, 10, 20)
    first, *others = pb.Trace.FromString(encode(tmp_path, segment)).packet
    assert first.sequence_flags == 1
    assert all(packet.sequence_flags == 0 for packet in others)


def test_process(tmp_path):
    process = Recording.open(synth.Segment().write(tmp_path)).processes[0]
    data = perfetto_process(process, process_uuid=PROCESS, sequence=1, name='a"\udc80é', order=-1)
    (packet,) = pb.Trace.FromString(data).packet
    descriptor = packet.track_descriptor
    assert (descriptor.uuid, descriptor.process.pid) == (PROCESS, 100)
    assert descriptor.process.process_name == 'a"\\udc80é'
    assert descriptor.sibling_order_rank == -1
    assert descriptor.child_ordering == pb.TrackDescriptor.ChildTracksOrdering.EXPLICIT


def test_bytes_a_call(tmp_path, segment):
    main = segment.thread()
    at = 0

    def fib(depth):
        nonlocal at
        main.begin(1, at := at + 160)
        if depth > 1:
            fib(depth - 1)
            fib(depth - 2)
        main.end(1, at := at + 110)

    fib(15)
    calls = len(Reader(encode(tmp_path, segment)).at(Event.TYPE_SLICE_BEGIN))
    assert calls == 1973
    assert len(encode(tmp_path, segment)) / calls < 29


def test_bytes_a_resumption(tmp_path, segment):
    main = segment.thread()
    for at in range(0, 500_000, 500):
        main.begin(1, at + 200, synth.RESUME)
        main.end(1, at + 400, synth.YIELD)
    assert len(encode(tmp_path, segment)) / 1000 < 43


def test_names_seen_often_get_short_numbers(tmp_path, segment):
    for number in range(7, 300):
        segment.name(number, f"f{number}", "m", "/app/m.py", number)
    main = segment.thread()
    wanted = [number for number in range(7, 300) for _ in range(1 if number < 150 else 70)]
    for at, number in enumerate(wanted):
        main.call(number, 100 * at, 100 * at + 50)
    data = encode(tmp_path, segment)
    begins = Reader(data).at(Event.TYPE_SLICE_BEGIN)
    assert [event["name"] for event in begins] == [f"m.f{number}" for number in wanted]
    assert [event["source"] for event in begins] == [("/app/m.py", number) for number in wanted]
    numbers = [
        packet.track_event.name_iid
        for packet in pb.Trace.FromString(data).packet
        if packet.track_event.name_iid
    ]
    assert len(set(numbers[:143])) == 143
    assert min(numbers[:143]) > 127  # never seen again
    assert max(numbers[143 + 65 : 143 + 70]) == 1
    assert {number for number in numbers if number < 128} == set(range(1, 128))


def test_generators_and_cut_calls(tmp_path, segment):
    segment.chunk_size, segment.room = 512, 512 - synth.CHUNK_HEADER
    main = segment.thread()
    main.begin(1, 10)
    main.new_chunk()
    main.end(1, 20, synth.YIELD)
    main.begin(1, 30, synth.RESUME, exc=3)
    main.begin(2, 40, synth.C_BEGIN)
    main.end(1, 50)
    del segment.chunks[1]
    read = Reader(encode(tmp_path, segment))
    assert [event.get("args") for event in read.events] == [
        {"cut": True},
        {"ended": "yield"},
        {"resumed": True, "thrown": True},
        None,
        {"inferred": True},
        {"exception": "ValueError"},
    ]
    assert [event["time"] for event in read.events] == [10, 20, 30, 40, 50, 51]


def test_deep_calls_are_on_tracks_of_their_own(tmp_path, segment):
    depth = 1200
    segment.chunk_size, segment.room = 1 << 16, (1 << 16) - synth.CHUNK_HEADER
    main = segment.thread("worker")
    for level in range(depth):
        main.begin(1, 10 * level)
    main.record(synth.INSTANT, 20_000, 4)
    for level in reversed(range(depth)):
        main.end(1, 40_000 - 10 * level, exc=3 if level == 600 else None)
    main.call(2, 50_000, 50_010, synth.C_BEGIN)
    read = Reader(encode(tmp_path, segment))
    open_slices, deepest, seen = {}, {}, []
    for event in read.events:
        stack = open_slices.setdefault(event["track"], [])
        if event["type"] == Event.TYPE_SLICE_BEGIN:
            stack.append(event)
            deepest[event["track"]] = max(deepest.get(event["track"], 0), len(stack))
        elif event["type"] == Event.TYPE_SLICE_END:
            seen.append((stack.pop()["time"], event["time"]))
    assert sorted(seen)[:depth] == [(10 * n, 40_000 - 10 * n) for n in range(depth)]
    names = {uuid: read.tracks[uuid].name for uuid in deepest if uuid != THREAD}
    assert list(names.values()) == ["worker (deeper, 1)", "worker (deeper, 2)"]
    assert list(deepest.values()) == [512, 512, 176]
    for rank, uuid in enumerate(names, 1):
        assert (read.tracks[uuid].parent_uuid, read.tracks[uuid].sibling_order_rank) == (
            THREAD,
            rank,
        )
    (instant,) = read.at(Event.TYPE_INSTANT)
    assert names[instant["track"]] == "worker (deeper, 2)"
    assert [event["track"] for event in read.events[-2:]] == [THREAD, THREAD]


def test_events_instants_counters(tmp_path, segment):
    main = segment.thread()
    main.begin(1, 10)
    main.record(synth.EVENT_BEGIN, 20, 1, 4, *synth.attributes(_5=[1, "\ud800", [2.5]], _6=None))
    main.record(synth.INSTANT, 25, 4, *synth.attributes(_5=True), flags=1)
    main.record(synth.EVENT_END, 30, 1, 3, *synth.attributes(_5=1 << 70))
    main.record(synth.EVENT_BEGIN, 40, 2, 4, *synth.attributes(_5=-5))
    main.end(1, 50)
    main.record(synth.COUNTER, 55, 6, *synth.attributes(_5=7, _4=1.5, _6="no number"))
    main.record(synth.EVENT_END, 60, 2, 0)
    main.record(synth.COUNTER, 65, 6, *synth.attributes(_5=-8))
    read = Reader(encode(tmp_path, segment))
    begins = read.at(Event.TYPE_SLICE_BEGIN)
    assert [(event["name"], event["time"]) for event in begins] == [
        ("__main__.main", 10),
        ("load", 20),
        ("load", 40),
    ]
    assert begins[1]["args"] == {"rows": [1, "\\ud800", [2.5]], "queue": "None"}
    (instant,) = read.at(Event.TYPE_INSTANT)
    assert (instant["track"], instant["time"], instant["args"]) == (PROCESS, 25, {"rows": True})
    nested, _, detached = read.at(Event.TYPE_SLICE_END)
    assert nested["args"]["rows"] == str(1 << 70)
    assert nested["args"]["exception"] == "ValueError"
    assert detached["time"] == 60
    assert begins[2]["track"] == detached["track"] != THREAD
    assert read.tracks[detached["track"]].parent_uuid == THREAD
    counters = read.at(Event.TYPE_COUNTER)
    names = [read.tracks[event["track"]].name for event in counters]
    assert list(zip(names, (c["value"] for c in counters), strict=True)) == [
        ("queue.rows", 7),
        ("queue.load", 1.5),
        ("queue.rows", -8),
    ]
    assert read.tracks[counters[0]["track"]].HasField("counter")


def test_losses_have_a_slice(tmp_path, segment):
    main = segment.thread(lost=(70, 140, 10, 5000))
    main.call(1, 6000, 6100)
    read = Reader(encode(tmp_path, segment))
    begin, end = read.events[:2]
    assert (begin["name"], begin["category"], begin["time"], end["time"]) == (
        "lost",
        "lost",
        10,
        5000,
    )
    assert begin["args"] == {"calls": 70, "records": 140}
    assert begin["track"] == end["track"] != THREAD


def test_short_calls_are_left_out(tmp_path, segment):
    segment.min_duration = 50
    main = segment.thread()
    main.begin(1, 10)
    main.call(2, 20, 69, synth.C_BEGIN)
    main.record(synth.INSTANT, 69, 4)
    main.call(2, 70, 120, synth.C_BEGIN)
    main.end(1, 130)
    read = Reader(encode(tmp_path, segment))
    assert [(event["type"], event["time"]) for event in read.events] == [
        (Event.TYPE_SLICE_BEGIN, 10),
        (Event.TYPE_INSTANT, 69),
        (Event.TYPE_SLICE_BEGIN, 70),
        (Event.TYPE_SLICE_END, 120),
        (Event.TYPE_SLICE_END, 130),
    ]


def test_small_blocks_are_the_same_text(tmp_path, segment):
    segment.name(7, "x" * 9000, "m")
    main = segment.thread()
    for i in range(500):
        main.call(7 if i % 50 == 0 else 1, 100 * i, 100 * i + 50)
    assert encode(tmp_path, segment, block_size=4096) == encode(tmp_path, segment)
    assert len(Reader(encode(tmp_path, segment)).events) == 1000
