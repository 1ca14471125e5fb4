import pytest
from unit.recording import synth

from otrace.recording import CallFlag, Recording

ROOT, INNER, CANCELLED, BAD, STEP = 1, 2, 3, 4, 5


@pytest.fixture
def segment():
    segment = synth.Segment()
    segment.name(ROOT, "root", "app", "/app.py", 3, kind=synth.ASYNC)
    segment.name(INNER, "inner", "app", "/app.py", 9, kind=synth.ASYNC)
    segment.text(CANCELLED, "asyncio.exceptions.CancelledError")
    segment.text(BAD, "ValueError")
    segment.name(STEP, "Handle._run", "asyncio.events", "/events.py", 80)
    return segment


def info(thread, at, task, parent=0, root=0, name=None, flags=0):
    thread.record(
        synth.TASK_INFO, at, task, parent, root, *synth.value(name), flags=flags | synth.ASYNCIO
    )


def read(tmp_path, segment):
    (process,) = Recording.open(segment.write(tmp_path)).processes
    return process


def calls(process):
    columns = process.tasks.calls()
    return [
        {name: getattr(columns, name)[row] for name in columns.__dataclass_fields__}
        for row in range(len(columns))
    ]


def steps(process):
    columns = process.tasks.steps()
    return list(zip(columns.task, columns.start_ns, columns.duration_ns, strict=True))


def test_a_call_is_joined_from_its_slices(tmp_path, segment):
    main = segment.thread("MainThread")
    info(main, 90, 1, root=1, name="first", flags=synth.STARTED)
    main.begin(ROOT, 100, act=1, task=1)
    main.begin(INNER, 110, act=2)
    main.end(INNER, 130, synth.YIELD)
    main.end(ROOT, 140, synth.YIELD)
    main.begin(ROOT, 500, synth.RESUME, act=1, task=1)
    main.begin(INNER, 510, synth.RESUME, act=2)
    main.end(INNER, 520)
    main.end(ROOT, 600)
    process = read(tmp_path, segment)
    (task,) = process.tasks
    assert (task.id, task.name, task.kind, task.state) == (1, "first", "asyncio", "finished")
    assert (task.created_ns, task.started_ns, task.ended_ns) == (None, 90, 600)
    assert (task.running_ns, task.steps, task.parent, task.exception) == (140, 2, None, None)
    assert task.function is not None
    assert task.function.name == "app.root"
    assert steps(process) == [(1, 100, 40), (1, 500, 100)]
    root, inner = calls(process)
    assert root == {
        "start_ns": 100,
        "duration_ns": 500,
        "running_ns": 140,
        "awaits": 1,
        "activation": 1,
        "parent": 0,
        "task": 1,
        "function": ROOT,
        "flags": 0,
        "exception": 0,
    }
    assert (inner["start_ns"], inner["duration_ns"], inner["running_ns"]) == (110, 410, 30)
    assert (inner["parent"], inner["task"], inner["awaits"]) == (1, 1, 1)
    columns = next(process.tracks[0].batches())
    assert list(columns.activation) == [2, 1, 2, 1]
    assert list(columns.task) == [1, 1, 1, 1]


def test_calls_of_one_function_are_told_apart_by_their_activation(tmp_path, segment):
    """Recursion, and tasks that take turns: names alone would not do."""
    main = segment.thread("MainThread")
    big = 1 << 24
    for task, act, at in ((1, 1, 100), (big + 2, big + 2, 200)):
        main.begin(ROOT, at, act=act, task=task)
        main.begin(ROOT, at + 10, act=act + 10)
        main.end(ROOT, at + 20, synth.YIELD)
        main.end(ROOT, at + 30, synth.YIELD)
    for task, act, at in ((big + 2, big + 2, 300), (1, 1, 400)):
        main.begin(ROOT, at, synth.RESUME, act=act, task=task)
        main.begin(ROOT, at + 10, synth.RESUME, act=act + 10)
        main.end(ROOT, at + 20)
        main.end(ROOT, at + 30)
    process = read(tmp_path, segment)
    assert [(call["activation"], call["task"], call["parent"]) for call in calls(process)] == [
        (1, 1, 0),
        (11, 1, 1),
        (big + 2, big + 2, 0),
        (big + 12, big + 2, big + 2),
    ]
    assert [call["duration_ns"] for call in calls(process)] == [330, 310, 130, 110]
    assert [task.state for task in process.tasks] == ["unknown", "unknown"]


def test_an_exception_thrown_in_passes_from_coroutine_to_coroutine(tmp_path, segment):
    main = segment.thread("MainThread")
    info(main, 90, 1, root=1, flags=synth.STARTED)
    main.begin(ROOT, 100, act=1, task=1)
    main.begin(INNER, 110, act=2)
    main.end(INNER, 120, synth.YIELD)
    main.end(ROOT, 130, synth.YIELD)
    main.begin(INNER, 200, synth.RESUME, exc=CANCELLED, act=2, task=1)
    main.end(INNER, 210, exc=CANCELLED)
    main.begin(ROOT, 220, synth.RESUME, exc=CANCELLED, act=1, task=1)
    main.end(ROOT, 230, exc=CANCELLED)
    process = read(tmp_path, segment)
    (task,) = process.tasks
    assert (task.state, task.exception) == ("cancelled", "asyncio.exceptions.CancelledError")
    assert steps(process) == [(1, 100, 30), (1, 200, 30)]  # one turn, not two
    root, inner = calls(process)
    assert CallFlag(inner["flags"]) == CallFlag.THROWN | CallFlag.UNWOUND
    assert (root["duration_ns"], inner["duration_ns"]) == (130, 100)


def test_how_tasks_end(tmp_path, segment):
    main = segment.thread("MainThread")
    for task, exc, flags in ((1, None, 0), (2, BAD, 0), (3, CANCELLED, 0), (4, 0, synth.CANCELLED)):
        info(main, 100 * task, task, root=task, flags=synth.STARTED)
        main.begin(ROOT, 100 * task + 10, act=task, task=task)
        if flags:
            info(main, 100 * task + 15, task, flags=flags)
        main.end(ROOT, 100 * task + 20, exc=exc)
    info(main, 510, 5, flags=synth.CREATED)
    info(main, 520, 6, root=6, flags=synth.STARTED)
    main.begin(ROOT, 530, act=6, task=6)
    main.end(ROOT, 540, synth.YIELD)
    states = [task.state for task in read(tmp_path, segment).tasks]
    assert states == ["finished", "failed", "cancelled", "cancelled", "pending", "pending"]


def test_a_coroutine_closed_outside_its_task_leaves_the_task_pending(tmp_path, segment):
    main = segment.thread("MainThread")
    info(main, 90, 1, root=1, flags=synth.STARTED)
    main.begin(ROOT, 100, act=1, task=1)
    main.end(ROOT, 110, synth.YIELD)
    main.begin(ROOT, 200, synth.RESUME, exc=BAD, act=1)
    main.end(ROOT, 210, exc=BAD)
    process = read(tmp_path, segment)
    assert [(task.state, task.ended_ns) for task in process.tasks] == [("pending", None)]
    assert [call["duration_ns"] for call in calls(process)] == [110]


def test_names_and_parents_as_they_become_known(tmp_path, segment):
    main = segment.thread("MainThread")
    info(main, 50, 7, parent=3, flags=synth.CREATED)
    info(main, 90, 7, parent=3, root=1, name="é" * 40, flags=synth.STARTED)
    main.begin(ROOT, 100, act=1, task=7)
    info(main, 110, 7, parent=3, root=1, name="later")
    main.end(ROOT, 120)
    (task,) = read(tmp_path, segment).tasks
    assert (task.name, task.parent, task.created_ns, task.started_ns) == ("later", 3, 50, 90)


def test_a_task_that_runs_inside_another_one(tmp_path, segment):
    """An eager first step: the time is the inner task's."""
    main = segment.thread("MainThread")
    main.begin(ROOT, 100, act=1, task=1)
    main.begin(INNER, 120, act=2, task=2)
    main.call(STEP, 130, 140)
    main.end(INNER, 150, synth.YIELD)
    main.call(STEP, 160, 170)
    main.end(ROOT, 200)
    process = read(tmp_path, segment)
    assert {task.id: task.running_ns for task in process.tasks} == {1: 70, 2: 30}
    columns = next(process.tracks[0].batches())
    assert list(columns.task) == [2, 2, 1, 1]


def test_slices_on_several_threads(tmp_path, segment):
    first, second = segment.thread("A"), segment.thread("B")
    second.begin(ROOT, 300, synth.RESUME, act=1)
    second.end(ROOT, 310)
    first.begin(ROOT, 100, act=1)
    first.end(ROOT, 110, synth.YIELD)
    (call,) = calls(read(tmp_path, segment))
    assert (call["start_ns"], call["duration_ns"], call["flags"]) == (100, 210, 0)


def test_a_begin_that_was_overwritten_and_an_end_that_never_came(tmp_path, segment):
    main = segment.thread("MainThread")
    main.begin(ROOT, 100, synth.RESUME, act=5, task=1)
    main.end(ROOT, 110, synth.YIELD)
    (call,) = calls(read(tmp_path, segment))
    assert CallFlag(call["flags"]) == CallFlag.CUT | CallFlag.OPEN
    assert call["duration_ns"] == -1


def test_an_activation_that_comes_back_after_its_end_is_another_call(tmp_path, segment):
    main = segment.thread("MainThread")
    main.begin(ROOT, 100, act=1)
    main.end(ROOT, 110)
    main.begin(ROOT, 200, synth.RESUME, exc=BAD, act=1)
    main.end(ROOT, 210, exc=BAD)
    assert [call["duration_ns"] for call in calls(read(tmp_path, segment))] == [10, 10]


def test_short_slices_count_although_they_are_not_shown(tmp_path, segment):
    segment.min_duration = 1000
    main = segment.thread("MainThread")
    main.begin(ROOT, 100, act=1, task=1)
    main.end(ROOT, 110, synth.YIELD)
    main.begin(ROOT, 5000, synth.RESUME, act=1, task=1)
    main.end(ROOT, 5010)
    process = read(tmp_path, segment)
    assert [call["duration_ns"] for call in calls(process)] == [4910]
    assert [len(batch) for batch in process.tracks[0].batches()] == []


def test_marks_tell_the_task(tmp_path, segment):
    segment.text(8, "tick")
    main = segment.thread("MainThread")
    main.begin(ROOT, 100, act=1, task=9)
    main.record(synth.INSTANT, 110, 8)
    main.end(ROOT, 120)
    (batch,) = read(tmp_path, segment).tracks[0].batches()
    assert [mark.task for mark in batch.marks] == [9]


def test_a_program_without_coroutines_has_no_tasks(tmp_path):
    segment = synth.Segment()
    segment.name(1, "main", "app")
    segment.thread("MainThread").call(1, 100, 200)
    process = read(tmp_path, segment)
    assert list(process.tasks) == []
    assert len(process.tasks.calls()) == len(process.tasks.steps()) == 0
