"""A call tree for people: small calls folded, frames inside libraries grouped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.profile.functions import FunctionProfile
    from otrace.profile.profile import Profile

LIBRARY_PARTS = ("/site-packages/", "/dist-packages/", "/lib/python3", "<frozen ")
DEEPEST = 60
"""Deeper calls are indented no further: a recursion would leave no room for names."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the tree."""

    prefix: str
    """Branches, drawn."""
    name: str
    total_ns: int
    self_ns: int
    calls: int
    folded: bool
    """It stands for several calls that are not shown."""


def is_library(function: FunctionProfile) -> bool:
    """Whether it came with Python or was installed, going by its file; C callables are."""
    if function.kind == "text":
        return False
    return not function.file or any(part in function.file for part in LIBRARY_PARTS)


class TreeView:
    """The lines of one tree."""

    def __init__(self, profile: Profile, root: int, least: float, *, group_libraries: bool) -> None:
        self._tree = profile.tree
        self._functions = profile.functions
        self._root = root
        self._least_ns = profile.tree.total_ns[root] * least
        self._group = group_libraries
        self._library = [is_library(function) for function in profile.functions]

    def lines(self) -> Iterator[Line]:
        """The lines from top to bottom. No recursion: paths are thousands of calls deep."""
        # (node or a finished line, prefix of its own line, prefix of what is beneath)
        pending: list[tuple[int | Line, str, str]] = []
        self._push(pending, self._root, "")
        while pending:
            item, prefix, beneath = pending.pop()
            if isinstance(item, Line):
                yield item
                continue
            inner, grouped = self._skip_library(item)
            yield self._line(item, prefix, grouped)
            self._push(pending, inner, beneath)

    def _line(self, node: int, prefix: str, grouped: int) -> Line:
        tree = self._tree
        name = self._functions[tree.function[node]].name
        if grouped:
            name += f"  [{grouped} library frames]"
        return Line(
            prefix, name, tree.total_ns[node], tree.self_ns[node], tree.calls[node], folded=False
        )

    def _shown(self, node: int) -> list[int]:
        """The children that are big enough, the biggest first."""
        tree = self._tree
        big = [
            child
            for child in tree.children(node)
            if tree.total_ns[child] >= self._least_ns and tree.runs[child]
        ]
        return sorted(big, key=lambda child: -tree.total_ns[child])

    def _skip_library(self, node: int) -> tuple[int, int]:
        """The last of a chain of library frames that begins here, and how many were passed.

        A chain: each calls one that is big enough to be shown, which is of a library too.
        """
        passed = 0
        while self._group and self._library[self._tree.function[node]]:
            shown = self._shown(node)
            if len(shown) != 1 or not self._library[self._tree.function[shown[0]]]:
                break
            node = shown[0]
            passed += 1
        return node, passed

    def _push(self, pending: list[tuple[int | Line, str, str]], node: int, prefix: str) -> None:
        """Puts what is beneath a node on the stack, so that the biggest comes out first."""
        tree = self._tree
        shown = self._shown(node)
        big = set(shown)
        small = [child for child in tree.children(node) if child not in big]
        items: list[int | Line] = list(shown)
        small_ns = sum(tree.total_ns[child] for child in small)
        if small and (small_ns >= self._least_ns or not shown):
            calls = sum(tree.calls[child] for child in small)
            words = f"in {len(small):,} smaller {'ones' if len(small) > 1 else 'one'}"
            items.append(Line(f"{prefix}└─ ", words, small_ns, 0, calls, folded=True))
        flat = len(prefix) >= DEEPEST
        for position, item in reversed(list(enumerate(items))):
            last = position == len(items) - 1
            own = prefix + ("└─ " if last else "├─ ")
            beneath = prefix if flat else prefix + ("   " if last else "│  ")
            pending.append((item, own, beneath))
