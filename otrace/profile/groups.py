"""Functions added up: by module, by file, by thread, by process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.profile.functions import FunctionProfile
    from otrace.profile.profile import Profile


@dataclass(slots=True)
class Group:
    """A line of such a table."""

    name: str
    calls: int = 0
    runs: int = 0
    self_ns: int = 0
    total_ns: int = 0
    """Time inside the group: a call from one of its functions to another counts once."""


def by_key(profile: Profile, key_of: Callable[[FunctionProfile], str]) -> list[Group]:
    """Groups of functions that have the same key, such as their module."""
    keys = [key_of(function) for function in profile.functions]
    groups = {key: Group(key) for key in keys}
    for function in profile.functions:
        group = groups[keys[function.index]]
        group.calls += function.calls
        group.runs += function.runs
        group.self_ns += function.self_ns
    _add_totals(profile, [groups[key] for key in keys])
    return [group for group in groups.values() if group.runs]


def _add_totals(profile: Profile, group_of: list[Group]) -> None:
    tree = profile.tree
    active = {id(group): 0 for group in group_of}
    for root in profile.roots:
        for node, entered in tree.descend(root.node):
            if node == root.node:
                continue
            group = group_of[tree.function[node]]
            if entered and not active[id(group)]:
                group.total_ns += tree.total_ns[node]
            active[id(group)] += 1 if entered else -1


def by_root(profile: Profile) -> list[Group]:
    """A group for each tree: thread or process."""
    tree = profile.tree
    return [
        Group(
            name=root.label,
            calls=tree.calls[root.node],
            runs=tree.runs[root.node],
            self_ns=tree.total_ns[root.node],
            total_ns=tree.total_ns[root.node],
        )
        for root in profile.roots
        if tree.runs[root.node]
    ]


def module_of(function: FunctionProfile) -> str:
    """The key of its module."""
    return "(events)" if function.kind == "text" else function.module or "(no module)"


def file_of(function: FunctionProfile) -> str:
    """The key of its file."""
    if function.kind == "text":
        return "(events)"
    return function.file or "(C)"


def matching(names: Iterable[str], wanted: str) -> set[str]:
    """The names that hold the text, or fit it when it is a pattern with * and ?."""
    from fnmatch import fnmatchcase

    if any(char in wanted for char in "*?["):
        return {name for name in names if fnmatchcase(name, wanted)}
    return {name for name in names if wanted in name}
