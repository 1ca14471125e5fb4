"""The tree of call paths, as columns."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from typing import Any

from otrace.recording._lib import ffi

NONE = -1
_NODE = struct.Struct("=iIQQQqqIIII")  # struct otrace_profile_node of native/api_profile.h
_ROWS = 4096


class CallTree:
    """One row a call path: a function, and the path of the calls around it.

    A parent's index is below its children's. A root stands for a thread, a process or everything:
    its `calls` and `runs` are of all beneath, its `total_ns` is that of its outermost calls.
    `total_ns` of a node is its `self_ns` and its children's totals; only detached events (`await`
    inside) cover time that belongs to others: they are children of the root without self time.
    """

    def __init__(self, nodes: Any, count: int) -> None:
        self.parent = array("i")
        """-1: a root."""
        self.function = array("I")
        """Index into `Profile.functions`; of a root meaningless."""
        self.calls = array("Q")
        self.runs = array("Q")
        self.exceptions = array("Q")
        self.total_ns = array("q")
        self.self_ns = array("q")
        self.recursive = array("I")
        """1: the function is also further up on the path."""
        self._sibling = array("I")
        self._first_child = array("I")
        for row in range(0, count, _ROWS):
            self._extend(nodes, row, min(_ROWS, count - row))

    def _extend(self, nodes: Any, first: int, count: int) -> None:
        assert ffi.sizeof("struct otrace_profile_node") == _NODE.size
        data = bytes(ffi.buffer(nodes + first, count * _NODE.size))
        columns = list(zip(*_NODE.iter_unpack(data), strict=True))
        targets = (
            self.parent,
            self.function,
            self.calls,
            self.runs,
            self.exceptions,
            self.total_ns,
            self.self_ns,
            self.recursive,
            self._sibling,
            self._first_child,
        )
        for target, column in zip(targets, columns[: len(targets)], strict=True):
            target.extend(column)

    def __len__(self) -> int:
        return len(self.parent)

    def children(self, node: int) -> Iterator[int]:
        """The nodes directly beneath, in the order of their first calls."""
        child = self._first_child[node]
        while child:
            yield child
            child = self._sibling[child]

    def path(self, node: int) -> list[int]:
        """The nodes from below the root down to this one."""
        path: list[int] = []
        while self.parent[node] != NONE:
            path.append(node)
            node = self.parent[node]
        return path[::-1]

    def descend(self, node: int) -> Iterator[tuple[int, bool]]:
        """(node, True) before, (node, False) after what is beneath, the node itself included.

        No recursion: paths are thousands of calls deep.
        """
        pending = [(node, False)]
        while pending:
            at, left = pending.pop()
            yield at, not left
            if not left:
                pending.append((at, True))
                pending += [(child, False) for child in reversed(list(self.children(at)))]
