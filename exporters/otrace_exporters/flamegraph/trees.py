"""Call-path trees as a page wants them: columns with the parent before its children."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otrace.profile import FunctionProfile, Profile
    from otrace.recording import Process

MOST_FRAMES = 250_000
"""Of a page, all threads together: about 4 MB. The narrowest paths beyond are added up."""
LEFT_OUT = "(narrower paths)"
OWN, LIBRARY, STDLIB, C, EVENT = range(5)


class Key(NamedTuple):
    """A function as a page shows it."""

    name: str
    cut: int
    """Where the name without the module begins."""
    file: str
    line: int
    group: int


class FunctionTable:
    """The functions of a page, each once."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self._numbers: dict[Key, int] = {}

    def add(self, key: Key) -> int:
        """The number of a function."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

    def as_data(self) -> dict[str, list[object]]:
        """Parallel lists for a page's JSON; files are told once."""
        files: dict[str, int] = {}
        return {
            "name": [key.name for key in self.keys],
            "cut": [key.cut for key in self.keys],
            "file": [files.setdefault(key.file, len(files)) for key in self.keys],
            "line": [key.line for key in self.keys],
            "group": [key.group for key in self.keys],
            "files": list(files),
        }


def key_of(function: FunctionProfile) -> Key:
    """How a function is shown."""
    name, module = function.name, function.module
    cut = len(module) + 1 if module and name.startswith(module + ".") else 0
    return Key(name, cut, function.file, function.line, group_of(function.kind, function.file))


def group_of(kind: str, file: str) -> int:
    """Whose code it is, as far as kind and file tell."""
    if kind == "c":
        return C
    if kind != "python":
        return EVENT
    if "/site-packages/" in file or "/dist-packages/" in file:
        return LIBRARY
    if file.startswith("<frozen ") or "/lib/python3." in file or "/lib64/python3." in file:
        return STDLIB
    return OWN


@dataclass
class Columns:
    """The call paths of a thread or task, a row each. Rows count from 1: 0 is the thread itself."""

    process: str
    name: str
    tasks: int = 0
    """How many it is of: 0 is a thread, whose rows hold what its tasks did, too."""
    parent: array[int] = field(default_factory=lambda: array("l"))
    func: array[int] = field(default_factory=lambda: array("l"))
    self_ns: array[int] = field(default_factory=lambda: array("q"))
    calls: array[int] = field(default_factory=lambda: array("q"))
    self_before: array[int] = field(default_factory=lambda: array("q"))
    """Empty, or of the recording that this one is compared with."""
    calls_before: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.parent)

    def add(self, parent: int, func: int, *values: int) -> int:
        """Append a row of self time and calls, now and perhaps before; returns its number."""
        self.parent.append(parent)
        self.func.append(func)
        for column, value in zip(self.values(), values, strict=False):
            column.append(value)
        return len(self.parent)

    def values(self) -> tuple[array[int], ...]:
        """The columns that are added up."""
        return self.self_ns, self.calls, self.self_before, self.calls_before

    def packed(self) -> bytes:
        """The columns for a page, each after the other, as little-endian 32-bit words.

        How far above the parent is, the function, and the low and high words of each value.
        """
        up = array("I", (row - parent for row, parent in enumerate(self.parent, 1)))
        columns = [up, array("I", self.func)]
        for values in self.values():
            columns.append(array("I", (value & 0xFFFFFFFF for value in values)))
            columns.append(array("I", (value >> 32 for value in values)))
        if sys.byteorder == "big":
            for column in columns:
                column.byteswap()
        return b"".join(column.tobytes() for column in columns)

    def weights(self) -> list[int]:
        """The total time of each row from 1, the larger of both recordings."""
        now = totals(self.parent, self.self_ns)
        if not self.self_before:
            return now
        return list(map(max, now, totals(self.parent, self.self_before)))


def totals(parent: Sequence[int], own: Sequence[int]) -> list[int]:
    """Own time and that of the rows below, for each row from 1."""
    sums = [0, *own]
    for row in range(len(own), 0, -1):
        sums[parent[row - 1]] += sums[row]
    return sums[1:]


def process_label(process: Process | None) -> str:
    """What the choice of trees calls a process; nothing for all of them."""
    return "" if process is None else f"{process.name} (pid {process.pid})"


def trees_of(profile: Profile, functions: FunctionTable) -> list[Columns]:
    """A tree for each root of a profile that has any time."""
    source = profile.tree
    numbers = [functions.add(key_of(function)) for function in profile.functions]
    trees: dict[int, Columns] = {}
    for root in profile.roots:
        name = root.label if root.track is None else root.track.name
        trees[root.node] = Columns(process_label(root.process), name)
    for task in profile.task_roots:
        trees[task.node] = Columns(process_label(task.process), task.label, task.tasks)
    place: list[tuple[Columns, int] | None] = [None] * len(source.parent)
    for node, parent in enumerate(source.parent):
        if node in trees:
            place[node] = trees[node], 0
            continue
        above = place[parent]
        assert above is not None  # parents come before their children
        tree, row = above
        func = numbers[source.function[node]]
        place[node] = tree, tree.add(row, func, source.self_ns[node], source.calls[node])
    return [tree for tree in trees.values() if len(tree)]


def compared(before: Profile, after: Profile, functions: FunctionTable) -> Columns:
    """Both profiles as one tree, all threads together.

    Functions are the same when kind and name are: lines move when a file is edited.
    """
    tree = Columns("", "all threads")
    numbers: dict[tuple[str, str], int] = {}
    rows: dict[tuple[int, int], int] = {}
    for profile, offset in ((after, 0), (before, 2)):
        source = profile.tree
        names: list[int] = []
        for function in profile.functions:
            same = function.kind, function.name
            if same not in numbers:
                numbers[same] = functions.add(key_of(function))
            names.append(numbers[same])
        place = [0] * len(source.parent)
        for node, parent in enumerate(source.parent):
            if parent < 0:
                continue
            func = names[source.function[node]]
            key = place[parent], func
            row = rows.get(key)
            if row is None:
                row = rows[key] = tree.add(*key, 0, 0, 0, 0)
            place[node] = row
            own, calls = tree.values()[offset : offset + 2]
            own[row - 1] += source.self_ns[node]
            calls[row - 1] += source.calls[node]
    return tree


def narrow(trees: Sequence[Columns], functions: FunctionTable, most: int = MOST_FRAMES) -> int:
    """Add up the narrowest paths until at most about `most` rows are left; returns how many went.

    A row that goes takes those below it along; what they had goes to a row beside it.
    """
    count = sum(map(len, trees))
    if count <= most:
        return 0
    weights = [tree.weights() for tree in trees]
    least = sorted((weight for rows in weights for weight in rows), reverse=True)[most * 2 // 3]
    other = functions.add(Key(LEFT_OUT, 0, "", 0, EVENT))
    for tree, rows in zip(trees, weights, strict=True):
        keep_wide(tree, rows, least, other)
    return count - sum(map(len, trees))


def keep_wide(tree: Columns, weights: Sequence[int], least: int, other: int) -> None:
    """Drop the rows up to `least` wide; each parent gets one row `other` for what it loses."""
    old = tree.values()[: 4 if tree.self_before else 2]
    kept = Columns(tree.process, tree.name, tree.tasks)
    place = [0] * (len(weights) + 1)
    collecting: dict[int, int] = {}  # row of a parent → its row `other`
    for row, weight in enumerate(weights, 1):
        values = [column[row - 1] for column in old]
        parent = place[tree.parent[row - 1]]
        if weight > least:
            place[row] = kept.add(parent, tree.func[row - 1], *values)
            continue
        if parent and kept.func[parent - 1] == other:
            place[row] = parent  # inside of what went
        elif parent in collecting:
            place[row] = collecting[parent]
        else:
            place[row] = collecting[parent] = kept.add(parent, other, *values)
            continue
        for column, value in zip(kept.values(), values, strict=False):
            column[place[row] - 1] += value
    tree.__dict__.update(kept.__dict__)


def used_only(trees: Sequence[Columns], functions: FunctionTable) -> FunctionTable:
    """A table of the functions that the trees still name; renumbers the trees."""
    table = FunctionTable()
    for tree in trees:
        for row, number in enumerate(tree.func):
            tree.func[row] = table.add(functions.keys[number])
    return table
