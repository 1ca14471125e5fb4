"""The standard library's profile statistics (`.pstats`): for `python -m pstats` and snakeviz.

Functions, times and callers are named and counted as cProfile does, which counts each resumption
of a generator as a call. All threads and processes are added up. Calls of classes have rows of
their own, which cProfile has not.
"""

from __future__ import annotations

import builtins
import marshal
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExportResult, Progress, open_output
from otrace_exporters.files import FileExporter, needed
from otrace_exporters.profiles import calls_of, plain, profile_of

if TYPE_CHECKING:
    from otrace.profile import FunctionProfile, Profile
    from otrace.recording import Recording

Label = tuple[str, int, str]
Row = list[int]
"""Primitive calls, calls, self time and total time in nanoseconds."""

NS = 1e-9
CONSTRUCTORS = ("__init__", "__new__")
FUNCTION = type(len)


class PstatsExporter(FileExporter):
    """Writes what `cProfile.run(..., filename)` would."""

    name = "pstats"
    suffixes = (".pstats",)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        profile = profile_of(recording, "thread", progress)
        with open_output(needed(target)) as output:
            output.write(marshal.dumps(statistics_of(profile)))
        return ExportResult(target, calls_of(profile), output.written)


def label_of(function: FunctionProfile) -> Label:
    """As cProfile names it: file, line and bare name, or `~` and a description."""
    name = plain(function.qualified).rpartition(".")[2]
    if function.kind == "python":
        return plain(function.file), function.line, name
    if function.kind == "text":
        return "~", 0, f"<event {plain(function.name)}>"
    owner = plain(function.qualified).rpartition(".")[0]
    if not owner:
        return "~", 0, f"<built-in method {plain(function.name)}>"
    prefix = "" if function.module in ("builtins", "") else plain(function.module) + "."
    return "~", 0, f"<method '{name}' of '{prefix}{owner}' objects>"


def statistics_of(profile: Profile) -> dict[Label, tuple[object, ...]]:
    """The dictionary that pstats.Stats reads."""
    labels = [label_of(function) for function in profile.functions]
    rows: dict[Label, Row] = {}
    for function in profile.functions:
        if function.runs:
            row = [function.primitive, function.runs, function.self_ns, function.total_ns]
            add(rows, labels[function.index], row)
    callers: dict[Label, dict[Label, Row]] = {label: {} for label in rows}
    for (caller, callee), row in edges_of(profile).items():
        add(callers[labels[callee]], labels[caller], row)
    return {
        label: (*finished(row), {key: finished_edge(row) for key, row in callers[label].items()})
        for label, row in rows.items()
    }


def add(rows: dict[Label, Row], label: Label, row: Row) -> None:
    """Adds a row to the one of that label: several functions may share it."""
    known = rows.setdefault(label, [0, 0, 0, 0])
    for position, number in enumerate(row):
        known[position] += number


def finished(row: Row) -> tuple[float, ...]:
    """The row with times in seconds."""
    primitive, runs, self_ns, total_ns = row
    return primitive, runs, self_ns * NS, total_ns * NS


def finished_edge(row: Row) -> tuple[float, ...]:
    """The same of a caller: there, cProfile puts all calls before the primitive ones."""
    primitive, runs, self_s, total_s = finished(row)
    return runs, primitive, self_s, total_s


def classes_of(profile: Profile) -> set[int]:
    """C callables that may be classes. A recording does not tell; cProfile does not see them."""
    return {
        function.index
        for function in profile.functions
        if function.kind == "c"
        and not isinstance(vars(builtins).get(function.name.removeprefix("builtins.")), FUNCTION)
    }


def edges_of(profile: Profile) -> Mapping[tuple[int, int], Row]:
    """What each caller gave to each callee: calls and time, a pair inside itself counted once."""
    tree = profile.tree
    edges: dict[tuple[int, int], Row] = {}
    active: Counter[tuple[int, int]] = Counter()
    classes = classes_of(profile)
    constructors = {
        function.index
        for function in profile.functions
        if function.kind == "python" and function.qualified.rpartition(".")[2] in CONSTRUCTORS
    }
    for root in profile.roots:
        for node, entered in tree.descend(root.node):
            parent = tree.parent[node]
            if tree.function[node] in constructors and tree.function[parent] in classes:
                parent = tree.parent[parent]  # who called the class
            if parent < 0 or tree.parent[parent] < 0:
                continue  # a root, or an outermost call: nobody called it
            pair = tree.function[parent], tree.function[node]
            if not entered:
                active[pair] -= 1
                continue
            edge = edges.setdefault(pair, [0, 0, 0, 0])
            edge[1] += tree.runs[node]
            edge[2] += tree.self_ns[node]
            if not active[pair]:
                edge[0] += tree.runs[node]
                edge[3] += tree.total_ns[node]
            active[pair] += 1
    return edges
