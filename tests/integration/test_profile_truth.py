"""The numbers of a profile are those of the calls that the reference tracer saw."""

from __future__ import annotations

import marshal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from oracle import compare, corpus, slack
from oracle.compare import Call, Track
from oracle.corpus import Program, otrace_run

from otrace.profile import FunctionProfile, Profile
from otrace.recording import Recording

CONSTRUCTORS = ("__init__", "__new__")  # their caller is who called the class

NUMBERS = ("runs", "calls", "primitive", "exceptions", "self_ns", "total_ns", "sum_ns")

# What is thrown into a generator before it starts, as its close() does, is a run without a call.
CLOSING_RUNS = sys.version_info < (3, 13)

Key = tuple[str, str, str | None, int | None]
"""Name, kind, file and line of a function."""
Label = tuple[str, int, str]
"""The same as pstats writes it."""
PathNumber = int
"""A call path, as `Paths` numbers it."""
Numbers = Counter[tuple[str, PathNumber]]
"""Of each path: its "runs", and those that an exception left, "unwound"."""


@dataclass(frozen=True)
class Node(Call):
    """All calls of one path; in a list of calls it stands for the first of them."""

    runs: int = 0
    unwound: int = 0


@dataclass(frozen=True)
class Run:
    """One program: the truth, and what otrace made of it."""

    program: Program
    truth: list[Track]
    profile: Profile
    pstats: dict[Label, tuple[int, int, float, float, dict[Label, tuple[int, ...]]]]


class Paths:
    """Numbers for call paths, the same for the same path on both sides: paths may be long."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[PathNumber, Key], PathNumber] = {}

    def of(self, parent: PathNumber, key: Key) -> PathNumber:
        return self._numbers.setdefault((parent, key), len(self._numbers) + 1)

    def told(self, path: PathNumber) -> str:
        """The last functions of a path."""
        steps = list(self._numbers)
        names: list[str] = []
        while path and len(names) < 5:
            path, key = steps[path - 1]
            names.insert(0, f"{key[0]} ({key[1]})")
        return " > ".join(names)

    def numbers(self, track: Track) -> Numbers:
        """What a track has of each path. A call without numbers is one run."""
        found: Numbers = Counter()
        above: list[PathNumber] = []
        for call in track.calls:
            del above[call.depth :]
            path = self.of(above[-1] if above else 0, key_of(call))
            above.append(path)
            single = not isinstance(call, Node)
            found["runs", path] += 1 if single else call.runs
            found["unwound", path] += call.ended == "unwind" if single else call.unwound
        return +found


def key_of(call: Call) -> Key:
    return call.name, call.kind, call.file or None, call.line or None


def recorded(program: Program, folder: Path) -> Run:
    """Run a program under the reference and under otrace."""
    truth = corpus.trace(program.path, folder / "truth.json")
    outputs = ("-o", "t.otrace", "--export", "pstats=t.pstats")
    done = otrace_run(folder, "--quiet", *outputs, str(program.path))
    assert (done.returncode, done.stdout) == (program.status, truth.stdout), done.stderr
    return Run(
        program,
        compare.load_reference(folder / "truth.json"),
        Profile.of(Recording.open(folder / "t.otrace")),
        marshal.loads((folder / "t.pstats").read_bytes()),
    )


@pytest.fixture(scope="module", params=corpus.PROGRAMS, ids=lambda program: program.name)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recorded(request.param, tmp_path_factory.mktemp(request.param.name))


# ---- call paths -------------------------------------------------------------------------------


def tracks_of(profile: Profile) -> list[Track]:
    """The trees as the oracle's tracks: a node where its first call was."""
    tracks = []
    for root in profile.roots:
        assert root.track is not None
        nodes: list[Call] = []
        depth = 0
        for index, entered in profile.tree.descend(root.node):
            if index == root.node:
                continue
            if not entered:
                depth -= 1
                continue
            nodes.append(node_of(profile, index, depth))
            depth += 1
        tracks.append(Track(root.track.name, nodes))
    return tracks


def node_of(profile: Profile, index: int, depth: int) -> Node:
    tree = profile.tree
    function = profile.functions[tree.function[index]]
    return Node(
        depth,
        function.name,
        function.kind,
        file=function.file or None,
        line=function.line or None,
        runs=tree.runs[index],
        unwound=tree.exceptions[index],
    )


def compared(tracks: Sequence[Track], program: Program) -> list[Track]:
    """The program's own calls on its main thread, then the other threads, without the slack."""
    return [
        slack.comparable(compare.program_track(tracks), program.imports),
        *(
            slack.comparable(slack.thread_body(track), program.imports)
            for track in tracks
            if not any(call.name == compare.PROGRAM for call in track.calls)
        ),
    ]


def by_thread(paths: Paths, tracks: Iterable[Track]) -> list[tuple[str, Numbers]]:
    """The threads with calls, in an order that does not depend on when they started."""
    named = [(track.name or "", paths.numbers(track)) for track in tracks if track.calls]
    return sorted(named, key=lambda thread: (thread[0], sorted(thread[1].items())))


def test_every_path_has_its_calls(run: Run) -> None:
    paths = Paths()
    wanted = by_thread(paths, compared(run.truth, run.program))
    shown = by_thread(paths, compared(tracks_of(run.profile), run.program))
    assert [name for name, _ in shown] == [name for name, _ in wanted]
    for (thread, found), (_, truth) in zip(shown, wanted, strict=True):
        differing = {
            f"{what} of {paths.told(path)}": (found[what, path], truth[what, path])
            for what, path in found | truth
            if found[what, path] != truth[what, path]
        }
        assert not differing, f"thread {thread!r}: shown and true {differing}"


# ---- functions --------------------------------------------------------------------------------


@dataclass
class Counts:
    runs: int = 0
    primitive: int = 0
    exceptions: int = 0
    open: int = 0
    yields: int = 0


def own_calls(run: Run) -> Iterator[tuple[Call, Call | None, bool]]:
    """The calls of the program's own functions, who called, and whether it is inside itself."""
    for track in run.truth:
        above: list[Call] = []
        active: Counter[Key] = Counter()
        for call in track.calls:
            for ended in above[call.depth :]:
                active[key_of(ended)] -= 1
            del above[call.depth :]
            if call.file == str(run.program.path):
                yield call, above[-1] if above else None, active[key_of(call)] > 0
            above.append(call)
            active[key_of(call)] += 1


def true_functions(run: Run) -> dict[Key, Counts]:
    found: dict[Key, Counts] = {}
    for call, _, inside_itself in own_calls(run):
        counts = found.setdefault(key_of(call), Counts())
        counts.runs += 1
        counts.primitive += not inside_itself
        counts.exceptions += call.ended == "unwind"
        counts.open += call.ended == "open"
        counts.yields += call.ended == "yield"
    return found


def own_functions(run: Run) -> dict[Key, list[FunctionProfile]]:
    """Those of the program's file; functions that are called the same are together."""
    found: dict[Key, list[FunctionProfile]] = {}
    for function in run.profile.functions:
        if function.runs and function.file == str(run.program.path):
            key = (function.name, function.kind, function.file, function.line)
            found.setdefault(key, []).append(function)
    return found


def late_functions(profile: Profile) -> set[str]:
    """What ran on the main thread when the program was over, such as a generator's end."""
    tree, found = profile.tree, set()
    for root in profile.roots:
        trees = [
            {profile.functions[tree.function[node]].name for node, _ in tree.descend(outermost)}
            for outermost in tree.children(root.node)
        ]
        if any(compare.PROGRAM in names for names in trees):
            found.update(*(names for names in trees if compare.PROGRAM not in names))
    return found


def test_every_function_has_its_calls(run: Run) -> None:
    late = late_functions(run.profile)
    truth, shown = (
        {key: value for key, value in found.items() if key[0] not in late}
        for found in (true_functions(run), own_functions(run))
    )
    assert set(shown) == set(truth)
    for key, counts in truth.items():
        functions = shown[key]
        runs = sum(function.runs for function in functions)
        calls = sum(function.calls for function in functions)
        assert runs == counts.runs, key
        assert sum(function.exceptions for function in functions) == counts.exceptions, key
        assert sum(function.open for function in functions) == counts.open, key
        assert not any(function.cut for function in functions), key
        # A resumption is a run after a yield; what yielded may also never be resumed.
        resumptions = counts.yields + (counts.exceptions if CLOSING_RUNS else 0)
        assert runs - resumptions <= calls <= runs, key
        if len(functions) == 1:
            assert functions[0].primitive == counts.primitive, key


def test_callers_are_those_of_the_calls(run: Run) -> None:
    truth: Counter[tuple[Label, Label]] = Counter()
    for call, caller, _ in own_calls(run):
        if caller and caller.file == call.file and label_of(call)[2] not in CONSTRUCTORS:
            truth[label_of(caller), label_of(call)] += 1
    shown = {
        (caller, callee): edge[0]
        for callee, row in run.pstats.items()
        for caller, edge in row[4].items()
        if callee[0] == caller[0] == str(run.program.path) and callee[2] not in CONSTRUCTORS
    }
    assert shown == truth


def label_of(call: Call) -> Label:
    """Without what does not print: the file's readers are to show it on one line."""
    assert call.file is not None
    assert call.line is not None
    name = slack.visible(call.name).rpartition(".")[2]
    plain = (char if char.isprintable() else f"\\x{ord(char):02x}" for char in name)
    return call.file, call.line, "".join(plain)


# ---- time -------------------------------------------------------------------------------------


def test_time_adds_up(run: Run) -> None:
    """Nothing is lost or counted twice on the way from calls to paths, functions and threads."""
    profile, tree = run.profile, run.profile.tree
    beneath: Counter[int] = Counter()
    functions: dict[int, Counter[str]] = {}
    for index, parent in enumerate(tree.parent):
        assert 0 <= tree.self_ns[index] <= tree.total_ns[index]
        if parent < 0:
            continue
        beneath[parent] += tree.total_ns[index]
        of_function = functions.setdefault(tree.function[index], Counter())
        of_function["runs"] += tree.runs[index]
        of_function["calls"] += tree.calls[index]
        of_function["exceptions"] += tree.exceptions[index]
        of_function["self_ns"] += tree.self_ns[index]
        of_function["sum_ns"] += tree.total_ns[index]
        if not tree.recursive[index]:
            of_function["primitive"] += tree.runs[index]
            of_function["total_ns"] += tree.total_ns[index]
    for index, total_ns in enumerate(tree.total_ns):
        assert total_ns == tree.self_ns[index] + beneath[index]
    for function in profile.functions:
        shown = Counter({name: getattr(function, name) for name in NUMBERS})
        assert +shown == +functions.get(function.index, Counter()), function.name
        if function.runs:
            spread = [function.min_ns, *map(function.quantile, (0.5, 0.95, 0.99)), function.max_ns]
            assert spread == sorted(spread), function.name
            assert function.self_ns <= function.total_ns <= function.sum_ns, function.name
            assert function.min_ns <= function.mean_ns <= function.max_ns, function.name
    assert sum(function.self_ns for function in profile.functions) == profile.total_ns
    assert profile.folded_runs == 0
