"""What a filter leaves is the reference's truth without what the filter names.

A filter hides a frame, never the frames below it; a C call is recorded when its Python caller is
and its own name is not excluded; a depth counts recorded calls. So the truth under a filter can be
had from the whole truth, by a rule written here by hand for each case.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from oracle import compare, corpus, from_chrome, from_perfetto
from oracle.compare import Call, Track
from oracle.corpus import otrace_run

LIBRARY = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "<frozen ")


def of_the_program(call: Call) -> bool:
    return call.kind == "c" or call.name.startswith("__main__.")


def outside_the_library(call: Call) -> bool:
    if call.file == "<string>":  # where its module is: the programs are a module each
        return call.name.startswith("__main__.")
    return call.file is None or not call.file.startswith(LIBRARY)


@dataclass(frozen=True)
class Filter:
    options: tuple[str, ...]
    keeps: Callable[[Call], bool]
    max_depth: int = 1_000_000


FILTERS = {
    "include the program": Filter(("--include", "__main__"), of_the_program),
    "include a file": Filter(
        ("--include", "*/programs/*"), lambda call: call.kind == "c" or "/programs/" in call.file
    ),
    "no standard library": Filter(("--no-stdlib",), outside_the_library),
    "exclude a package": Filter(
        ("--include", "__main__", "--include", "json", "--exclude", "json.encoder"),
        lambda call: (
            (call.kind == "c" or call.name.startswith(("__main__.", "json.")))
            and not call.name.startswith("json.encoder.")
        ),
    ),
    "exclude functions": Filter(
        (
            "--no-stdlib",
            *("--exclude-function", "<lambda>", "--exclude-function", "list.append"),
            *("--exclude-function", "*.<genexpr>", "--exclude-function", "__main__.fib"),
        ),
        lambda call: (
            outside_the_library(call)
            and not call.name.endswith((".<lambda>", ".<genexpr>"))
            and call.name not in ("list.append", "__main__.fib")
        ),
    ),
    "exclude the builtins": Filter(
        ("--no-stdlib", "--exclude", "builtins"),
        lambda call: outside_the_library(call) and not call.name.startswith("builtins."),
    ),
    "three levels": Filter(("--no-stdlib", "--max-depth", "3"), outside_the_library, 3),
    "two levels of Python": Filter(
        ("--include", "__main__", "--no-c-calls", "--max-depth", "2"),
        lambda call: call.kind == "python" and of_the_program(call),
        2,
    ),
}
PROGRAMS = (
    "async_generators",
    "callbacks_sorted",
    "context_managers",
    "exceptions_c",
    "functools_tools",
    "generators_closed",
    "json_pure",
    "threads_named",
)


def filtered(calls: Sequence[Call], rule: Filter) -> list[Call]:
    """The calls that a rule leaves, moved up to the nearest one that is left."""
    left: list[Call] = []
    above: list[tuple[int, int, bool]] = []  # depth, depth among those left, whether it is left
    for call in calls:
        while above and above[-1][0] >= call.depth:
            above.pop()
        depth = above[-1][1] + above[-1][2] if above else 0
        caller_is_left = bool(above) and above[-1][2]
        keep = rule.keeps(call) and (call.kind == "python" or caller_is_left)
        keep = keep and depth < rule.max_depth
        above.append((call.depth, depth, keep))
        if keep:
            left.append(replace(call, depth=depth))
    return left


@pytest.fixture(scope="module")
def truths(tmp_path_factory: pytest.TempPathFactory) -> Callable[[corpus.Program], list[Track]]:
    known: dict[str, list[Track]] = {}

    def truth(program: corpus.Program) -> list[Track]:
        if program.name not in known:
            out = tmp_path_factory.mktemp("truth") / "truth.json"
            assert corpus.trace(program.path, out).returncode == program.status
            known[program.name] = compare.load_reference(out)
        return known[program.name]

    return truth


def program_named(name: str) -> corpus.Program:
    (program,) = (program for program in corpus.PROGRAMS if program.name == name)
    return program


@pytest.mark.parametrize("rule", FILTERS.values(), ids=FILTERS)
def test_each_filter_leaves_something_and_takes_something_away(
    truths: Callable[[corpus.Program], list[Track]], rule: Filter
) -> None:
    tracks = [track for name in PROGRAMS for track in truths(program_named(name))]
    left = sum(len(filtered(track.calls, rule)) for track in tracks)
    assert 0 < left < sum(len(track.calls) for track in tracks)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("rule", FILTERS.values(), ids=FILTERS)
def test_a_filter_leaves_what_it_does_not_name(
    truths: Callable[[corpus.Program], list[Track]], rule: Filter, name: str, tmp_path: Path
) -> None:
    program = program_named(name)
    expected = [Track(track.name, filtered(track.calls, rule)) for track in truths(program)]
    exports = ("--export", "chrome=t.json", "--export", "perfetto=t.pftrace")
    done = otrace_run(tmp_path, *rule.options, *exports, str(program.path))
    assert done.returncode == program.status, done.stderr
    compare.assert_same(expected, from_chrome.load(tmp_path / "t.json"))
    compare.assert_same(expected, from_perfetto.load(tmp_path / "t.pftrace"))


def test_code_without_a_file_belongs_where_its_module_does(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import collections, dataclasses, timeit\n"
        "Point = collections.namedtuple('Point', 'x y')\n"
        "@dataclasses.dataclass\n"
        "class Mine:\n"
        "    x: int\n"
        "Point(1, 2), Mine(3)\n"
        "exec('def made(): pass\\nmade()')\n"
        "exec('def bare(): pass\\nbare()', {})\n"
        "timeit.timeit('pass', number=1)\n",
        encoding="utf-8",
    )
    otrace_run(tmp_path, "--no-stdlib", "--no-c-calls", "--export", "chrome=t.json", str(program))
    shown = {call.name for track in from_chrome.load(tmp_path / "t.json") for call in track.calls}
    assert {"__main__.made", "bare"} < shown
    assert any(name.endswith("<locals>.__init__") for name in shown)  # Mine's
    foreign = {name for name in shown if not name.startswith("__main__.")}
    assert foreign == {"bare", "<module>"}
