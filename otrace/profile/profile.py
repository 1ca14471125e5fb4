"""A recording's profile: one native pass over each track."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from otrace.profile.functions import ExceptionCount, FunctionProfile, SlowCall, read_functions
from otrace.profile.tasks import NO_TASKS, TaskPlan, TaskRoot, new_root, plan_tasks
from otrace.profile.tree import CallTree
from otrace.recording import CallFlag
from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process, Recording, Track

Roots = Literal["thread", "process", "all"]

EDGES_A_STEP = 1 << 19
_CHUNK_WORD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Root:
    """A tree of the profile: of a thread, a process, or everything."""

    node: int
    label: str
    process: Process | None
    """None: of all processes."""
    track: Track | None
    """None: of several threads."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time went. Profile.of is the way to make one."""

    recording: Recording
    """Lives as long as the profile: names are read from its segments."""
    functions: list[FunctionProfile]
    tree: CallTree
    roots: list[Root]
    slowest: list[SlowCall]
    """The longest single runs, longest first. One that spent nine tenths of its time in one call
    is left out in favour of that call."""
    exceptions: list[ExceptionCount]
    folded_runs: int
    """Runs whose call path found no room (there are 1,048,576): in the tree they are part of the
    self time of a call around them. Functions stay exact."""
    task_roots: list[TaskRoot]
    """Trees of tasks beside those of `roots`, which have their calls, too: when asked for."""

    @classmethod
    def of(
        cls,
        recording: Recording,
        *,
        roots: Roots = "thread",
        slowest: int = 20,
        tasks: bool = False,
        tracks: Iterable[Track] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Profile:
        """Count all calls of the recording, or of these tracks. Raises RecordingError.

        `roots`: a tree for each thread, for each process, or one for all; `tasks`: also trees of
        tasks. `progress` is told the fraction done.
        """
        chosen = _by_process(recording, tracks)
        out = ffi.new("struct otrace_profile **")
        check(lib.otrace_profile_new(slowest, out), "a profile")
        native = ffi.gc(out[0], lib.otrace_profile_free)
        planned = _plan(native, roots, chosen)
        task_plans = {process: plan_tasks(native, process) for process in chosen if tasks}
        order = [track for members in chosen.values() for track in members]
        total = sum(_words_of(track) for track in order) or 1
        done = 0
        for number, track in enumerate(order):
            plan = task_plans.get(track.process, NO_TASKS)
            for words in _walk(native, track, planned.node_of[track], number, plan):
                if progress is not None:
                    progress((done + words) / total)
            done += _words_of(track)
        task_roots = [root for plan in task_plans.values() for root in plan.roots]
        return _read(recording, native, planned.roots, task_roots, order)

    @property
    def calls(self) -> int:
        """The calls of all functions; a generator or coroutine counts once."""
        return sum(function.calls for function in self.functions)

    @property
    def total_ns(self) -> int:
        """The time of all outermost calls of all threads."""
        return sum(self.tree.total_ns[root.node] for root in self.roots)

    @property
    def warnings(self) -> list[str]:
        """What is missing or odd: the recording's, and what the tree could not hold."""
        lines = list(self.recording.warnings)
        if self.folded_runs:
            lines.append(
                f"{self.folded_runs:,} calls had more call paths around them than a tree holds; "
                "there they are part of their caller, the table of functions has them"
            )
        return lines


@dataclass(frozen=True, slots=True)
class _Plan:
    roots: list[Root]
    node_of: Mapping[Track, int]


def _by_process(recording: Recording, tracks: Iterable[Track] | None) -> dict[Process, list[Track]]:
    """The tracks to count, those of a process behind each other."""
    if tracks is None:
        return {process: list(process.tracks) for process in recording.processes}
    chosen: dict[Process, list[Track]] = {}
    for track in tracks:
        chosen.setdefault(track.process, []).append(track)
    return chosen


def _plan(native: Any, kind: Roots, chosen: Mapping[Process, list[Track]]) -> _Plan:
    """Makes the trees that the tracks are counted into."""
    roots: list[Root] = []
    node_of: dict[Track, int] = {}
    single = new_root(native) if kind == "all" else -1
    if kind == "all":
        roots.append(Root(single, "all", None, None))
    for process, tracks in chosen.items():
        label = f"{process.name} (process {process.pid})"
        shared = single
        if kind == "process":
            shared = new_root(native)
            roots.append(Root(shared, label, process, None))
        for track in tracks:
            node_of[track] = shared
            if kind == "thread":
                node_of[track] = new_root(native)
                named = f"{label} / {track.name}" if len(chosen) > 1 else track.name
                roots.append(Root(node_of[track], named, process, track))
    return _Plan(roots, node_of)


def _words_of(track: Track) -> int:
    raw = ffi.new("struct otrace_track_info *")
    check(lib.otrace_segment_get_track(track.process._segment, track._index, raw), "a track")
    return int(raw.chunks * track.process.sizes.chunk_size // _CHUNK_WORD_BYTES)


def _walk(native: Any, track: Track, root: int, number: int, tasks: TaskPlan) -> Iterable[int]:
    """Counts a track; yields the words read so far now and then."""
    process = track.process
    what = f"track {track.id} of process {process.pid}"
    until = track.open_until_ns
    out = ffi.new("struct otrace_profile_walk **")
    status = lib.otrace_profile_walk_new(
        native, process._segment, track._index, process._clock, root, number, until, out
    )
    check(status, what)
    try:
        check(lib.otrace_profile_walk_tasks(out[0], *tasks.arrays), what)
        while (status := lib.otrace_profile_walk_next(out[0], EDGES_A_STEP)) > 0:
            yield int(lib.otrace_profile_walk_words(out[0]))
        check(status, what)
    finally:
        lib.otrace_profile_walk_free(out[0])


def _read(
    recording: Recording,
    native: Any,
    roots: list[Root],
    task_roots: list[TaskRoot],
    tracks: list[Track],
) -> Profile:
    counts = ffi.new("struct otrace_profile_counts *")
    lib.otrace_profile_get_counts(native, counts)
    functions = read_functions(native, counts.functions)
    slow = lib.otrace_profile_slowest(native)
    exceptions = lib.otrace_profile_exceptions(native)

    def type_name(index: int) -> str:
        return functions[index].name if index else ""

    slowest = [
        SlowCall(
            function=slow[i].function,
            node=slow[i].node,
            track=tracks[slow[i].track],
            start_ns=slow[i].start_ns,
            duration_ns=slow[i].duration_ns,
            flags=CallFlag(slow[i].flags),
            exception=type_name(slow[i].exception),
        )
        for i in range(counts.slow)
    ]
    return Profile(
        recording=recording,
        functions=functions,
        tree=CallTree(lib.otrace_profile_nodes(native), counts.nodes),
        roots=roots,
        slowest=sorted(slowest, key=lambda run: (-run.duration_ns, run.start_ns)),
        exceptions=[
            ExceptionCount(
                exceptions[i].function, type_name(exceptions[i].type), exceptions[i].count
            )
            for i in range(counts.exceptions)
        ],
        folded_runs=counts.folded_runs,
        task_roots=task_roots,
    )
