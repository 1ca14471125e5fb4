from unit.profile.test_profile import make_segment, profile_of
from unit.recording import synth

from otrace.profile import groups
from otrace.profile.diff import compare
from otrace.profile.view import TreeView


def program(work_ns, calls=3, *, extra=None, file="/usr/lib/python3.12/lib.py", also=None):
    segment = make_segment()
    segment.name(6, "helper", "lib", file, 1)
    segment.name(7, "inner", "lib", "/usr/lib/python3.12/lib.py", 2)
    main = segment.thread("Main")
    main.begin(1, 0)
    at = 1_000
    for _ in range(calls):
        main.call(2, at, at + work_ns)
        at += work_ns + 1_000
    if extra is not None:
        main.begin(extra, at)
        main.begin(7, at + 1)
        main.call(3, at + 2, at + 500, synth.C_BEGIN)
        main.end(7, at + 501)
        if also is not None:
            segment.name(8, "helper", "lib", also, 1)
            main.call(8, at + 501, at + 502)
        main.end(extra, at + 502)
    main.end(1, at + 2_000)
    return segment


def states(comparison):
    return {change.name: change.state for change in comparison.functions}


def test_groups_count_calls_among_themselves_once(tmp_path):
    profile = profile_of(tmp_path, program(1_000, extra=6))
    by_module = {group.name: group for group in groups.by_key(profile, groups.module_of)}
    assert by_module["app"].total_ns == profile.total_ns
    assert by_module["app"].calls == 4
    assert by_module["lib"].total_ns == 502
    assert by_module["lib"].self_ns == 502 - 498
    by_file = {group.name for group in groups.by_key(profile, groups.file_of)}
    assert by_file == {"/app/main.py", "/usr/lib/python3.12/lib.py", "(C)"}
    (thread,) = groups.by_root(profile)
    assert (thread.name, thread.calls) == ("Main", 7)


def test_a_name_is_chosen_by_a_part_of_it_or_by_a_pattern():
    names = ["app.main", "app.work", "lib.main"]
    assert groups.matching(names, "main") == {"app.main", "lib.main"}
    assert groups.matching(names, "app.*") == {"app.main", "app.work"}


def test_what_became_slower_is_told_and_noise_is_not(tmp_path):
    before = profile_of(tmp_path / "a", program(10_000))
    noise = profile_of(tmp_path / "b", program(10_500))
    slower = profile_of(tmp_path / "c", program(20_000))
    assert states(compare(before, noise))["app.work"] == "same"
    comparison = compare(before, slower)
    assert states(comparison) == {"app.work": "slower", "app.main": "slower"}
    assert comparison.functions[0].name == "app.work"
    assert comparison.functions[0].self_delta_ns == 30_000
    assert comparison.functions[0].median_before_ns == 10_000
    assert states(compare(slower, before))["app.work"] == "faster"
    assert comparison.paths[0].path == ("app.main", "app.work")
    assert (comparison.paths[0].state, comparison.paths[0].self_after_ns) == ("slower", 60_000)


def test_more_calls_of_the_same_length_are_slower(tmp_path):
    before = profile_of(tmp_path / "a", program(10_000, 3))
    after = profile_of(tmp_path / "b", program(10_000, 9))
    assert states(compare(before, after))["app.work"] == "slower"


def test_new_and_vanished_functions(tmp_path):
    before = profile_of(tmp_path / "a", program(1_000))
    after = profile_of(tmp_path / "b", program(1_000, extra=6))
    assert states(compare(before, after))["lib.helper"] == "new"
    assert states(compare(after, before))["lib.helper"] == "gone"
    gone = {change.path: change for change in compare(after, before).paths}
    path = ("app.main", "lib.helper", "lib.inner")
    assert (gone[path].state, gone[path].runs_before, gone[path].runs_after) == ("gone", 1, 0)


def test_a_file_that_is_called_otherwise(tmp_path):
    """Only where one function of the name is left on each side."""
    here = profile_of(tmp_path / "a", program(1_000, extra=6, file="/a/lib.py"))
    there = profile_of(tmp_path / "b", program(1_000, extra=6, file="/b/lib.py"))
    comparison = compare(here, there)
    assert {change.state for change in (*comparison.functions, *comparison.paths)} == {"same"}
    (helper,) = (change for change in comparison.functions if change.name == "lib.helper")
    assert (helper.file, helper.before.file) == ("/b/lib.py", "/a/lib.py")
    two = profile_of(tmp_path / "c", program(1_000, extra=6, file="/c/lib.py", also="/d/lib.py"))
    found = sorted(
        (change.file, change.state)
        for change in compare(here, two).functions
        if change.name == "lib.helper"
    )
    assert found == [("/a/lib.py", "gone"), ("/c/lib.py", "new"), ("/d/lib.py", "new")]


def lines(profile, least, *, group_libraries=True):
    view = TreeView(profile, profile.roots[0].node, least, group_libraries=group_libraries)
    return [(len(line.prefix) // 3, line.name) for line in view.lines()]


def test_library_frames_are_grouped_and_small_ones_folded(tmp_path):
    profile = profile_of(tmp_path, program(1_000, extra=6))
    assert lines(profile, 0) == [
        (1, "app.main"),
        (2, "app.work"),
        (2, "lib.helper  [2 library frames]"),
    ]
    assert lines(profile, 0, group_libraries=False)[2:] == [
        (2, "lib.helper"),
        (3, "lib.inner"),
        (4, "builtins.len"),
    ]
    assert lines(profile, 0.2) == [(1, "app.main"), (2, "app.work")]
    assert lines(profile, 0.9) == [(1, "app.main"), (2, "in 2 smaller ones")]
