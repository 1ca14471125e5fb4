import pytest
from unit.recording import synth

from otrace.profile import Profile
from otrace.recording import CallFlag, Recording


def make_segment(pid=100, **options):
    segment = synth.Segment(pid, **options)
    segment.name(1, "main", "app", "/app/main.py", 3)
    segment.name(2, "work", "app", "/app/main.py", 9)
    segment.name(3, "len", "builtins", kind=synth.C)
    segment.text(4, "ValueError")
    segment.text(5, "load")
    return segment


def profile_of(folder, *segments, **options):
    for number, segment in enumerate(segments):
        segment.write(folder, number)
    return Profile.of(Recording.open(folder), **options)


def named(profile, name):
    (found,) = (function for function in profile.functions if function.name == name)
    return found


def paths(profile):
    """{names of the path: (calls, runs, total, self)} over all trees."""
    tree, found = profile.tree, {}
    for root in profile.roots:
        for node, entered in tree.descend(root.node):
            if entered and node != root.node:
                names = tuple(profile.functions[tree.function[at]].name for at in tree.path(node))
                numbers = tree.calls[node], tree.runs[node], tree.total_ns[node], tree.self_ns[node]
                found[root.label, *names] = numbers
    return found


def test_times_are_divided_among_paths(tmp_path):
    segment = make_segment()
    main = segment.thread("Main")
    main.begin(1, 100)
    main.call(2, 110, 140)
    main.begin(2, 200)
    main.call(3, 210, 215, synth.C_BEGIN)
    main.end(2, 300, exc=4)
    main.end(1, 1_100)
    profile = profile_of(tmp_path, segment)
    assert paths(profile) == {
        ("Main", "app.main"): (1, 1, 1000, 870),
        ("Main", "app.main", "app.work"): (2, 2, 130, 125),
        ("Main", "app.main", "app.work", "builtins.len"): (1, 1, 5, 5),
    }
    work = named(profile, "app.work")
    assert (work.kind, work.file, work.line, work.exceptions) == ("python", "/app/main.py", 9, 1)
    assert (work.min_ns, work.max_ns, work.mean_ns) == (30, 100, 65)
    assert [work.quantile(part) for part in (0, 0.5, 0.51, 1)] == [30, 30, 100, 100]
    ((function, kind, count),) = ((e.function, e.type, e.count) for e in profile.exceptions)
    assert (profile.functions[function].name, kind, count) == ("app.work", "ValueError", 1)
    assert profile.total_ns == 1000


def test_recursion_counts_once(tmp_path):
    segment = make_segment()
    main = segment.thread("Main")
    for at in (0, 10, 20):
        main.begin(1, at)
    for at in (30, 40, 50):
        main.end(1, at)
    profile = profile_of(tmp_path, segment)
    main = named(profile, "app.main")
    assert (main.calls, main.primitive, main.total_ns, main.self_ns) == (3, 1, 50, 50)
    assert main.sum_ns == 50 + 30 + 10
    assert list(profile.tree.recursive) == [0, 0, 1, 1]


def test_a_generator_is_one_call_with_several_runs(tmp_path):
    segment = make_segment()
    main = segment.thread("Main")
    main.begin(1, 0)
    main.call(2, 10, 20)  # begins; the second half yields
    main.begin(2, 30, synth.RESUME)
    main.end(2, 35, synth.YIELD)
    main.begin(2, 40, synth.RESUME)
    main.end(2, 41)
    main.end(1, 50)
    work = named(profile_of(tmp_path, segment), "app.work")
    assert (work.calls, work.runs, work.total_ns) == (1, 3, 16)


def test_calls_that_never_ended_count_until_the_end(tmp_path):
    segment = make_segment()
    segment.end_ns = 1_000
    main = segment.thread("Main")
    main.begin(1, 100)
    main.begin(2, 400)
    ended = segment.thread("Ended", end=700)
    ended.begin(2, 500)
    profile = profile_of(tmp_path, segment)
    assert paths(profile) == {
        ("Main", "app.main"): (1, 1, 900, 300),
        ("Main", "app.main", "app.work"): (1, 1, 600, 600),
        ("Ended", "app.work"): (1, 1, 200, 200),
    }
    assert named(profile, "app.work").open == 2


def test_the_same_function_of_two_processes_is_one(tmp_path):
    first, second = make_segment(100), synth.Segment(200)
    second.name(1, "other", "app", "/app/main.py", 30)
    second.name(2, "main", "app", "/app/main.py", 3)  # another id there
    second.name(3, "main", "app", "/app/main.py", 4)  # not the same
    first.thread("Main").call(1, 0, 10)
    thread = second.thread("Main")
    thread.call(2, 0, 5)
    thread.call(3, 10, 13)
    for roots, trees in (("thread", 2), ("process", 2), ("all", 1)):
        profile = profile_of(tmp_path, first, second, roots=roots)
        assert len(profile.roots) == trees
        mains = {f.line: (f.calls, f.total_ns) for f in profile.functions if f.name == "app.main"}
        assert mains == {3: (2, 15), 4: (1, 3)}
        assert sum(profile.tree.calls[root.node] for root in profile.roots) == 3
        assert sum(profile.tree.total_ns[root.node] for root in profile.roots) == 18
    second_alone = Profile.of(profile.recording, tracks=profile.recording.processes[1].tracks)
    assert second_alone.total_ns == 8


def test_events_are_on_the_path_unless_they_do_not_nest(tmp_path):
    segment = make_segment()
    main = segment.thread("Main")
    main.begin(1, 0)
    main.record(synth.EVENT_BEGIN, 10, 1, 5)
    main.call(2, 20, 30)
    main.record(synth.EVENT_END, 40, 1, 0)
    main.record(synth.EVENT_BEGIN, 50, 2, 5)
    main.end(1, 100)  # leaves the event behind
    main.record(synth.EVENT_END, 150, 2, 0)
    profile = profile_of(tmp_path, segment)
    assert paths(profile) == {
        ("Main", "app.main"): (1, 1, 100, 70),
        ("Main", "app.main", "load"): (1, 1, 30, 20),
        ("Main", "app.main", "load", "app.work"): (1, 1, 10, 10),
        ("Main", "load"): (1, 1, 100, 0),
    }
    assert profile.total_ns == 100
    load = named(profile, "load")
    assert (load.kind, load.calls, load.total_ns, load.self_ns) == ("text", 2, 130, 20)


def test_the_slowest_calls_are_those_where_time_was_spent(tmp_path):
    segment = make_segment()
    main = segment.thread("Main")
    main.begin(1, 0)
    main.call(2, 10, 1_000, synth.BEGIN)  # nearly all of main: it stands for it
    main.end(1, 1_010)
    main.begin(1, 2_000)
    main.begin(2, 2_100)
    main.end(2, 2_400, exc=4)
    main.end(1, 2_800)
    profile = profile_of(tmp_path, segment, slowest=3)
    names = [profile.functions[run.function].name for run in profile.slowest]
    assert list(zip(names, (run.duration_ns for run in profile.slowest), strict=True)) == [
        ("app.work", 990),
        ("app.main", 800),
        ("app.work", 300),
    ]
    last = profile.slowest[-1]
    assert (last.start_ns, last.exception, last.track.name) == (2_100, "ValueError", "Main")
    assert last.flags & CallFlag.UNWOUND
    assert [
        profile.functions[profile.tree.function[n]].name for n in profile.tree.path(last.node)
    ] == [
        "app.main",
        "app.work",
    ]


def test_quantiles_of_many_calls_are_close(tmp_path):
    segment = make_segment(chunk_size=1 << 16)
    main = segment.thread("Main")
    at, durations = 0, []
    for number in range(5_000):
        durations.append(1 + number * number % 100_003)
        main.call(2, at, at + durations[-1])
        at += durations[-1] + 1
    work = named(profile_of(tmp_path, segment), "app.work")
    durations.sort()
    for part in (0.01, 0.5, 0.95, 0.99, 0.999):
        exact = durations[-(-len(durations) * round(part * 1000) // 1000) - 1]
        assert work.quantile(part) == pytest.approx(exact, rel=0.004)
    assert (work.min_ns, work.max_ns, work.sum_ns) == (durations[0], durations[-1], sum(durations))


def test_a_deep_recursion_is_a_deep_tree(tmp_path):
    segment = make_segment(chunk_size=1 << 16)
    main = segment.thread("Main")
    for at in range(3_000):
        main.begin(1, at)
    for at in range(3_000, 6_000):
        main.end(1, at)
    profile = profile_of(tmp_path, segment)
    assert len(profile.tree) == 3_001
    assert len(profile.tree.path(3_000)) == 3_000


def test_nothing_was_recorded(tmp_path):
    segment = make_segment()
    segment.thread("Main")
    profile = profile_of(tmp_path, segment)
    assert (profile.total_ns, profile.slowest, len(profile.tree)) == (0, [], 1)


def test_progress_and_names_that_are_not_known(tmp_path):
    segment = make_segment()
    segment.thread("Main").call(900, 0, 10)
    seen = []
    for number in range(20):
        thread = segment.thread(f"T{number}")
        thread.call(1, 0, 5)
    profile = profile_of(tmp_path, segment, progress=seen.append)
    assert all(0 <= fraction <= 1 for fraction in seen)
    assert named(profile, "<unknown>").calls == 1
