"""Which call started which process."""

from unit.recording import synth

from otrace.recording import Recording, births


def process(folder, pid, parent, start, name="posix.fork", calls=(), end=None):
    """A process whose threads made these calls, of 100 ns each."""
    segment = synth.Segment(pid=pid, start_ns=synth.START + start)
    segment.parent_pid = parent
    segment.end_ns = end
    module, _, qualified = name.rpartition(".")
    segment.name(1, "main", "__main__", "/app/main.py", 3)
    segment.name(2, qualified, module, kind=synth.C)
    for starts in calls or [()]:
        thread = segment.thread()
        thread.begin(1, 10)
        for at in starts:
            thread.call(2, at, at + 100, synth.C_BEGIN)
        thread.end(1, 100_000)
    segment.write(folder, pid * 100 + start // 1000)


def told(folder):
    return [
        (birth.child.pid, birth.parent.pid, birth.track.id, birth.time_ns)
        for birth in births(Recording.open(folder))
    ]


def test_each_child_has_the_last_call_before_it(tmp_path):
    process(tmp_path, 10, 1, 0, calls=[(1000, 5000, 80_000), (3000,)])
    for pid, start in ((11, 2000), (12, 7000), (13, 6000)):
        process(tmp_path, pid, 10, start)
    assert told(tmp_path) == [(12, 10, 1, 5001), (13, 10, 2, 3001), (11, 10, 1, 1001)]


def test_strangers_and_children_without_a_call_have_none(tmp_path):
    process(tmp_path, 10, 1, 0, name="posix.getpid", calls=[(1000,)])
    process(tmp_path, 11, 10, 2000)
    process(tmp_path, 12, 99, 3000)
    assert told(tmp_path) == []


def test_exec_makes_one_process_of_another(tmp_path):
    process(tmp_path, 10, 1, 0, name="posix.execve", calls=[(1000,)])
    process(tmp_path, 10, 1, 2000)
    assert told(tmp_path) == [(10, 10, 1, 1001)]


def test_a_number_that_is_used_again_is_another_process(tmp_path):
    process(tmp_path, 1, 0, 0, calls=[(1000, 4000)])
    process(tmp_path, 10, 1, 2000, calls=[(500,)], end=900)
    process(tmp_path, 10, 1, 5000)
    assert told(tmp_path) == [(10, 1, 1, 4001), (10, 1, 1, 1001)]


def test_without_c_calls_the_function_around_is_known(tmp_path):
    process(tmp_path, 10, 1, 0, name="subprocess.Popen._execute_child", calls=[(1000,)])
    process(tmp_path, 11, 10, 2000)
    assert told(tmp_path) == [(11, 10, 1, 1001)]


def test_batches_of_some_functions(tmp_path):
    process(tmp_path, 10, 1, 0, calls=[(1000, 5000)])
    (track,) = Recording.open(tmp_path).processes[0].tracks
    (batch,) = track.batches(functions={2, 999})
    assert list(batch.start_ns) == [1000, 5000]
    assert list(track.batches(functions=())) == []
