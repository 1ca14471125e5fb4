"""Two profiles compared: by function, and by call path.

Times of two runs always differ. A function counts as slower or faster when the median of its calls
moved by more than a tenth and its time by more than a thousandth of the whole; or when how often it
was called did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from otrace.profile.functions import FunctionProfile
    from otrace.profile.profile import Profile

State = Literal["new", "gone", "slower", "faster", "same"]
Key = tuple[str, str]

MEDIAN_MOVED = 0.10
SHARE_OF_ALL = 0.001


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function in both profiles: the same by name and file, or by name where the file moved."""

    name: str
    file: str
    line: int
    """Of the later one, if it is there."""
    before: FunctionProfile | None
    after: FunctionProfile | None
    state: State

    @property
    def calls_delta(self) -> int:
        """Calls that came to it."""
        return _of(self.after, "calls") - _of(self.before, "calls")

    @property
    def self_delta_ns(self) -> int:
        """Self time that came to it."""
        return _of(self.after, "self_ns") - _of(self.before, "self_ns")

    @property
    def total_delta_ns(self) -> int:
        """Total time that came to it."""
        return _of(self.after, "total_ns") - _of(self.before, "total_ns")

    @property
    def median_before_ns(self) -> int:
        """The median of its runs; 0 when there were none."""
        return self.before.quantile(0.5) if self.before else 0

    @property
    def median_after_ns(self) -> int:
        """The median of its runs; 0 when there are none."""
        return self.after.quantile(0.5) if self.after else 0


@dataclass(slots=True, eq=False)
class PathChange:
    """A call path in both profiles, over all threads."""

    name: str
    file: str
    parent: PathChange | None
    """The path of the call around it; None: there is none."""
    state: State = "same"
    runs_before: int = 0
    runs_after: int = 0
    before_ns: int = 0
    after_ns: int = 0
    self_before_ns: int = 0
    self_after_ns: int = 0

    @property
    def path(self) -> tuple[str, ...]:
        """Names, the outermost first."""
        names: list[str] = []
        at: PathChange | None = self
        while at is not None:
            names.append(at.name)
            at = at.parent
        return tuple(reversed(names))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one profile to another, the biggest change of self time first."""

    functions: list[FunctionChange]
    paths: list[PathChange]
    before_ns: int
    after_ns: int


Paths = dict[tuple[int, str, str], PathChange]
"""By the id of the parent's path and the key of the function."""


def compare(before: Profile, after: Profile) -> Comparison:
    """Compares all functions and call paths of two profiles."""
    whole = max(before.total_ns, after.total_ns)
    moved = _moved(before, after)
    functions = _compare_functions(_heaviest(before, {}), _heaviest(after, moved), whole)
    paths: Paths = {}
    _add_paths(before, {}, paths, is_after=False)
    _add_paths(after, moved, paths, is_after=True)
    changes = list(paths.values())
    for change in changes:
        state = functions[change.name, change.file].state
        change.state = _path_state(change, state, whole)
    return Comparison(
        functions=sorted(
            functions.values(), key=lambda change: (-abs(change.self_delta_ns), change.name)
        ),
        paths=sorted(
            changes, key=lambda change: -abs(change.self_after_ns - change.self_before_ns)
        ),
        before_ns=before.total_ns,
        after_ns=after.total_ns,
    )


def _of(function: FunctionProfile | None, name: str) -> int:
    return int(getattr(function, name)) if function is not None else 0


def _moved(before: Profile, after: Profile) -> dict[Key, Key]:
    """The keys of functions whose file is called otherwise in `after`, and what they were before.

    Recordings of two checkouts have such. A name that is in several files says nothing.
    """
    keys = [{_key(function, {}) for function in one.functions} for one in (before, after)]
    gone, new = _by_name(keys[0] - keys[1]), _by_name(keys[1] - keys[0])
    return {
        came[0]: gone[name][0]
        for name, came in new.items()
        if len(came) == 1 and len(gone.get(name, ())) == 1
    }


def _by_name(keys: set[Key]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for key in keys:
        found.setdefault(key[0], []).append(key)
    return found


def _key(function: FunctionProfile, moved: dict[Key, Key]) -> Key:
    key = function.name, function.file
    return moved.get(key, key)


def _heaviest(profile: Profile, moved: dict[Key, Key]) -> dict[Key, FunctionProfile]:
    """By key; of functions that differ in their line alone, the one with the most self time."""
    found: dict[Key, FunctionProfile] = {}
    for function in sorted(profile.functions, key=lambda function: function.self_ns):
        if function.runs:
            found[_key(function, moved)] = function
    return found


def _compare_functions(
    old: dict[Key, FunctionProfile], new: dict[Key, FunctionProfile], whole: int
) -> dict[Key, FunctionChange]:
    changes: dict[Key, FunctionChange] = {}
    for key in {**old, **new}:
        was, is_now = old.get(key), new.get(key)
        shown = is_now or was
        assert shown is not None
        state = _function_state(was, is_now, whole)
        changes[key] = FunctionChange(shown.name, shown.file, shown.line, was, is_now, state)
    return changes


def _function_state(
    before: FunctionProfile | None, after: FunctionProfile | None, whole: int
) -> State:
    if before is None:
        return "new"
    if after is None:
        return "gone"
    delta = max(after.self_ns - before.self_ns, after.total_ns - before.total_ns, key=abs)
    if abs(delta) <= whole * SHARE_OF_ALL:
        return "same"
    median = before.quantile(0.5)
    moved = after.quantile(0.5) - median
    if abs(moved) > median * MEDIAN_MOVED and (moved > 0) == (delta > 0):
        return "slower" if delta > 0 else "faster"
    if after.runs != before.runs and (after.runs > before.runs) == (delta > 0):
        return "slower" if delta > 0 else "faster"
    return "same"


def _path_state(change: PathChange, function: State, whole: int) -> State:
    """A path's calls are not kept one by one: its function's medians speak for it."""
    if change.runs_before == 0:
        return "new"
    if change.runs_after == 0:
        return "gone"
    delta = change.after_ns - change.before_ns
    if abs(delta) <= whole * SHARE_OF_ALL:
        return "same"
    towards: State = "slower" if delta > 0 else "faster"
    more = change.runs_after - change.runs_before
    return towards if function == towards or (more and (more > 0) == (delta > 0)) else "same"


def _add_paths(profile: Profile, moved: dict[Key, Key], paths: Paths, *, is_after: bool) -> None:
    tree = profile.tree
    keys = [_key(function, moved) for function in profile.functions]
    found: dict[int, PathChange | None] = {root.node: None for root in profile.roots}
    for node in range(len(tree)):
        if node in found:
            continue
        parent = found[tree.parent[node]]  # parents come first
        key = keys[tree.function[node]]
        at = id(parent), *key
        change = paths.get(at)
        if change is None:
            change = paths[at] = PathChange(*key, parent)
        found[node] = change
        if is_after:
            change.runs_after += tree.runs[node]
            change.after_ns += tree.total_ns[node]
            change.self_after_ns += tree.self_ns[node]
        else:
            change.runs_before += tree.runs[node]
            change.before_ns += tree.total_ns[node]
            change.self_before_ns += tree.self_ns[node]
