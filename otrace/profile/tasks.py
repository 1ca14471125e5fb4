"""Which tasks of a process get trees of their own."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otrace.recording._lib import check, ffi, lib

if TYPE_CHECKING:
    from otrace.recording import Process
    from otrace.recording.tasks import Task

MOST_TREES = 200
"""Of a process. With more tasks than that, those of the same coroutine function share a tree."""
OTHERS = "other tasks"


@dataclass(frozen=True, slots=True)
class TaskRoot:
    """A tree of what ran in one task, or in several of the same coroutine function."""

    node: int
    label: str
    process: Process
    tasks: int
    """How many it is of."""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """The trees of a process, and the arguments that tell a native walk of them."""

    roots: list[TaskRoot]
    arrays: tuple[Any, Any, int]


NO_TASKS = TaskPlan([], (ffi.NULL, ffi.NULL, 0))


def new_root(native: Any) -> int:
    """A new tree of a native profile: its node."""
    node = ffi.new("uint32_t *")
    check(lib.otrace_profile_root(native, node), "a profile")
    return int(node[0])


def plan_tasks(native: Any, process: Process) -> TaskPlan:
    """Makes the trees for a process's tasks that ran. Costs nothing when it has none."""
    ran = [task for task in process.tasks if task.steps]
    keys: dict[int, Hashable] = {task.id: task.id for task in ran}
    if len(ran) > MOST_TREES:
        keys = {task.id: function_of(task) for task in ran}
    running: Counter[Hashable] = Counter()
    for task in ran:
        running[keys[task.id]] += task.running_ns
    chosen = {key for key, _ in running.most_common(MOST_TREES)}
    members: dict[Hashable, list[Task]] = {}
    for task in ran:
        key = keys[task.id]
        members.setdefault(key if key in chosen else None, []).append(task)
    roots: list[TaskRoot] = []
    node_of: dict[int, int] = {}
    for key, tasks in members.items():
        label = label_of(tasks) if key is not None else OTHERS
        roots.append(TaskRoot(new_root(native), label, process, len(tasks)))
        node_of.update((task.id, roots[-1].node) for task in tasks)
    ids = array("I", sorted(node_of))
    nodes = array("I", (node_of[task] for task in ids))
    return TaskPlan(
        roots, (ffi.from_buffer("uint32_t[]", ids), ffi.from_buffer("uint32_t[]", nodes), len(ids))
    )


def function_of(task: Task) -> str:
    """The name of its coroutine function, or its own when that was not recorded."""
    return task.function.name if task.function is not None else task.name


def label_of(tasks: list[Task]) -> str:
    """Such as "Task-3: app.fetch", or "app.fetch" for several."""
    function = function_of(tasks[0])
    name = tasks[0].name
    return function if len(tasks) > 1 or name == function else f"{name}: {function}"
