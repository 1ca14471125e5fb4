"""Damaged segments: an error that says why, or a shorter trace in well-formed outputs."""

import json
import random

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb
from unit.recording import synth

from otrace.encoding import chrome_blocks, perfetto_blocks
from otrace.errors import RecordingError
from otrace.recording import Recording

SEEDS = 400
HEADER = 208


def sample(rng):
    """A segment with a little of everything."""
    segment = synth.Segment(chunk_size=512, clock=rng.choice([synth.MONOTONIC, synth.TSC]))
    segment.min_duration = rng.choice([0, 0, 300])
    for number in range(1, 9):
        segment.name(number, f'n"{number}\\\udc80\x01', "m\n", "f.py", number, kind=1 + number % 3)
    segment.note("key", "value")
    threads = [segment.thread("T\udcff"), segment.thread(lost=(3, 9, 5, 50))]
    now = 100
    for _ in range(150):
        thread = rng.choice(threads)
        now += rng.choice([3, 40, 400, 200_000])
        at = max(now, thread.tick - segment.start)
        shape = rng.randrange(8)
        if shape < 3 and len(thread.open) < 8:
            thread.begin(rng.randrange(1, 12), at, rng.choice([synth.BEGIN, synth.C_BEGIN]))
        elif shape < 5 and thread.open:
            thread.end(thread.open[-1][0], at, rng.choice([2, 4, 6]), rng.choice([None, 0, 3]))
        elif shape == 5:
            words = synth.attributes(_5=rng.choice([1.5, "x\ud800", [1, ["y"]], 1 << 90]))
            thread.record(synth.INSTANT, at, 4, *words, flags=rng.randrange(4))
        elif shape == 6:
            thread.record(synth.EVENT_BEGIN, at, rng.randrange(1, 9), 4, *synth.attributes(_6=True))
        else:
            thread.record(synth.EVENT_END, at, rng.randrange(1, 9), rng.choice([0, 3]))
    return bytearray(segment.to_bytes())


def damage(rng, data):
    chunks = synth.PAGE + synth.META
    for _ in range(rng.randrange(1, 5)):
        place = rng.choice([(0, 200), (synth.PAGE, synth.PAGE + 800), (chunks, len(data))])
        at = rng.randrange(*place)
        kind = rng.randrange(5)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + 8] = rng.randbytes(min(8, len(data) - at))
        elif kind == 2:
            value = rng.choice([0, 1, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF])
            data[at // 4 * 4 : at // 4 * 4 + 4] = value.to_bytes(4, "little")
        elif kind == 3:
            other = rng.randrange(chunks, len(data) - 300)
            data[chunks + 80 : chunks + 380] = data[other : other + 300]
        elif rng.randrange(4) == 0:
            del data[max(at, chunks) :]
            return


def no_constant(name):
    raise ValueError(name)


def open_or_refuse(path):
    """The recording, or None when it is refused in words that name it."""
    try:
        return Recording.open(path)
    except RecordingError as error:
        refusal = str(error)
    assert str(path) in refusal
    return None


def read_everything(recording):
    for process in recording.processes:
        for function in process.functions:
            assert function.name is not None
        b"".join(process.dump()).decode()
        for track in process.tracks:
            calls = 0
            for batch in track.batches(rows=50):
                calls += len(batch)
                assert all(mark.row is None or mark.row < len(batch) for mark in batch.marks)
            summary = track.summary()
            assert summary.calls + summary.events == calls
            text = b"".join(map(bytes, chrome_blocks(track, block_size=4096))).decode()
            json.loads("[" + text.removesuffix(",\n") + "]", parse_constant=no_constant)
            blocks = perfetto_blocks(
                track,
                sequence=1,
                process_uuid=1,
                thread_uuid=2,
                base_mono_ns=recording.start_mono_ns,
                base_wall_ns=recording.start_wall_ns,
            )
            pb.Trace.FromString(b"".join(map(bytes, blocks)))
    assert all(isinstance(line, str) for line in recording.warnings)


@pytest.mark.parametrize("first", range(0, SEEDS, 100))
def test_any_damage(tmp_path, first):
    path = tmp_path / "1-0.segment"
    readable = 0
    for seed in range(first, first + 100):
        rng = random.Random(seed)
        data = sample(rng)
        if seed % 10:
            damage(rng, data)
        path.write_bytes(data)
        recording = open_or_refuse(path)
        if recording is not None:
            readable += 1
            read_everything(recording)
    assert readable > 50


def test_every_cut(tmp_path):
    """A file cut anywhere is refused with a reason, or read with a warning."""
    path = tmp_path / "1-0.segment"
    data = bytes(sample(random.Random(1)))
    chunks = synth.PAGE + synth.META
    for size in [*range(0, 260, 7), synth.PAGE, synth.PAGE + 100, *range(chunks, len(data), 97)]:
        path.write_bytes(data[:size])
        recording = open_or_refuse(path)
        assert (recording is None) == (size < HEADER)
        if recording is not None:
            assert recording.warnings
            read_everything(recording)
