"""What a service's slow requests should look like: calls and spans, seen without any otrace code.

A second tool of sys.monitoring (3.12 and later) with Python callbacks notes each call of a Python
function with the span that is current, and a span processor notes each span with the call that
opened it. `Truth.by_trace` has the trees:

    [name, [child, ...]]     children in the order of their start

A call belongs to the span that was current when it began. It is below the innermost open call of
the same span, else below the span. A span is below the innermost open call that belongs to its
parent, else below its parent. A coroutine's call is one, from first start to final end; the first
of a task is below the coroutine that made the task, if that belongs to the same span.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from types import CodeType, FrameType
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

TOOL = 2
JOINED = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE
HIDDEN = ("opentelemetry", "contextlib", "abc", "typing", "otrace", "oracle")


class Node:
    """A call or a span."""

    def __init__(self, name: str, owner: int) -> None:
        self.name = name
        self.is_coroutine = False
        self.owner = owner  # of a call: the current span; of a span: its own id
        self.children: list[Node] = []

    def tree(self) -> list[Any]:
        return [self.name, [child.tree() for child in self.children]]


class Thread(threading.local):
    """The open calls of a thread; a hidden one is None."""

    def __init__(self) -> None:
        self.stack: list[Node | None] = []
        self.own = 0  # how many of the innermost are otrace's, or made by those


class Truth(SpanProcessor):
    """Sees calls and spans from `install` on."""

    def __init__(self) -> None:
        self.thread = Thread()
        self.spans: dict[int, Node] = {}
        self.ended: set[int] = set()
        self.roots: dict[int, int] = {}  # span → its local root
        self.by_trace: dict[str, list[Node]] = {}
        self.makers: dict[object, Node | None] = {}
        self.suspended: dict[FrameType, Node | None] = {}

    def install(self) -> None:
        monitoring = sys.monitoring
        monitoring.use_tool_id(TOOL, "truth")
        events = monitoring.events
        for event in (events.PY_START, events.PY_RESUME, events.PY_THROW):
            monitoring.register_callback(TOOL, event, self.begin)
        for event in (events.PY_RETURN, events.PY_UNWIND):
            monitoring.register_callback(TOOL, event, self.end)
        monitoring.register_callback(TOOL, events.PY_YIELD, self.pause)
        monitoring.set_events(
            TOOL,
            events.PY_START
            | events.PY_RESUME
            | events.PY_THROW
            | events.PY_RETURN
            | events.PY_YIELD
            | events.PY_UNWIND,
        )

    def begin(self, code: CodeType, *_: object) -> None:
        frame = sys._getframe(1)
        if frame in self.suspended:
            self.thread.own += self.thread.own > 0
            self.thread.stack.append(self.suspended.pop(frame))
            return
        module = str(sys._getframe(1).f_globals.get("__name__"))
        package = module.split(".")[0]
        if package in HIDDEN or self.thread.own:
            self.thread.own += package == "otrace" or self.thread.own > 0
            self.thread.stack.append(None)
            return
        owner = trace.get_current_span().get_span_context().span_id
        node = Node(f"{module}.{code.co_qualname}", owner)
        node.is_coroutine = bool(code.co_flags & CO_COROUTINE)
        if owner in self.spans and self.roots[owner] not in self.ended:
            (self.maker(node) or self.parent(owner)).children.append(node)
        else:
            node.owner = 0
        self.thread.stack.append(node)

    def maker(self, node: Node) -> Node | None:
        """Of a task's first coroutine: the one that made the task."""
        try:
            task = asyncio.current_task() if node.is_coroutine else None
        except RuntimeError:  # no loop runs
            return None
        found = None if task is None else self.makers.pop(task, None)
        return found if found is not None and found.owner == node.owner else None

    def end(self, code: CodeType, *about: object) -> None:
        if code.co_qualname == "BaseEventLoop.create_task":
            coroutines = [node for node in self.thread.stack if node and node.is_coroutine]
            self.makers[about[-1]] = coroutines[-1] if coroutines else None
        if self.thread.stack:  # what was open at the start is not on it
            self.thread.stack.pop()
            self.thread.own -= self.thread.own > 0

    def pause(self, code: CodeType, *_: object) -> None:
        if self.thread.stack and code.co_flags & JOINED:
            self.suspended[sys._getframe(1)] = self.thread.stack[-1]
        self.end(code)

    def parent(self, owner: int) -> Node:
        for node in reversed(self.thread.stack):
            if node is not None and node.owner == owner:
                return node
        return self.spans[owner]

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        context, parent = span.get_span_context(), span.parent
        node = self.spans[context.span_id] = Node("", context.span_id)
        if parent is None or parent.is_remote:
            self.roots[context.span_id] = context.span_id
            self.by_trace.setdefault(f"{context.trace_id:032x}", []).append(node)
        else:
            self.roots[context.span_id] = self.roots[parent.span_id]
            self.parent(parent.span_id).children.append(node)

    def on_end(self, span: Any) -> None:
        self.spans[span.context.span_id].name = span.name
        self.ended.add(span.context.span_id)
