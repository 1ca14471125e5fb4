"""Tasks of event loops, and the logical calls of coroutines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from otrace.recording._lib import check, ffi, lib, text

if TYPE_CHECKING:
    from otrace.recording.functions import Function
    from otrace.recording.process import Process

_KINDS = {lib.OTRACE_TASK_KIND_ASYNCIO: "asyncio", lib.OTRACE_TASK_KIND_TRIO: "trio"}
_STATES = {
    lib.OTRACE_TASK_STATE_PENDING: "pending",
    lib.OTRACE_TASK_STATE_FINISHED: "finished",
    lib.OTRACE_TASK_STATE_CANCELLED: "cancelled",
    lib.OTRACE_TASK_STATE_FAILED: "failed",
}
_Form = Literal["q", "Q", "I"]
_C_TYPES = {"q": ("int64_t[]", 8), "Q": ("uint64_t[]", 8), "I": ("uint32_t[]", 4)}
_CALLS: tuple[tuple[str, _Form], ...] = (
    ("start_ns", "q"),
    ("duration_ns", "q"),
    ("running_ns", "q"),
    ("awaits", "Q"),
    ("activation", "I"),
    ("parent", "I"),
    ("task", "I"),
    ("function", "I"),
    ("flags", "I"),
    ("exception", "I"),
)
_STEPS: tuple[tuple[str, _Form], ...] = (
    ("start_ns", "q"),
    ("duration_ns", "q"),
    ("task", "I"),
    ("thread", "I"),
    ("woken_by", "I"),
    ("woken_in", "I"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of asyncio or trio. Times are those of the recording; None: not known, or not yet."""

    id: int
    """Unique in the process, from 1."""
    name: str
    kind: str
    """`asyncio`, `trio`, or `unknown`."""
    state: str
    """`pending`, `finished`, `cancelled`, `failed`, or `unknown`: its own coroutine was filtered
    out."""
    parent: int | None
    """The id of the task that created it; None: no task did, or it is not known."""
    function: Function | None
    """Of its own coroutine."""
    exception: str | None
    """The type of the exception that ended it."""
    created_ns: int | None
    started_ns: int | None
    """The begin of its first step."""
    ended_ns: int | None
    last_ns: int | None
    """The end of its last step."""
    running_ns: int
    """Time that it had a thread, the rest is waiting."""
    steps: int
    thread: int | None
    """The id of the track that ran its first step."""


@dataclass(frozen=True, slots=True)
class TaskCalls:
    """Calls of coroutine functions and asynchronous generators, from first start to final end.

    One a row, by task and start. Columns are memoryviews of integers.
    """

    start_ns: memoryview
    duration_ns: memoryview
    """-1: it did not end."""
    running_ns: memoryview
    """What is left of the duration is waiting."""
    awaits: memoryview
    """How often it gave the thread back, or a value."""
    activation: memoryview
    """As in CallBatch: the slices of this call on the threads' tracks."""
    parent: memoryview
    """The activation that it was started in, 0: none."""
    task: memoryview
    """0: none."""
    function: memoryview
    flags: memoryview
    """CallFlag bits: OPEN, CUT, THROWN, UNWOUND, INFERRED."""
    exception: memoryview

    def __len__(self) -> int:
        return len(self.start_ns)


@dataclass(frozen=True, slots=True)
class TaskSteps:
    """The times that tasks had a thread, one a row, by task and start."""

    start_ns: memoryview
    duration_ns: memoryview
    task: memoryview
    thread: memoryview
    """The track's id."""
    woken_by: memoryview
    """The id of the task that let it go on; 0: no task did, or it is not known."""
    woken_in: memoryview
    """The id of the function that did, 0: not known."""

    def __len__(self) -> int:
        return len(self.start_ns)


class Tasks(Sequence[Task]):
    """The tasks of a process, in the order of their creation."""

    def __init__(self, process: Process) -> None:
        self._process = process
        out = ffi.new("struct otrace_tasks **")
        check(lib.otrace_tasks_new(process._segment, process._clock, out), process.path)
        self._tasks = ffi.gc(out[0], lib.otrace_tasks_free)
        counts = ffi.new("uint64_t[3]")
        lib.otrace_tasks_counts(self._tasks, counts, counts + 1, counts + 2)
        self._count, self._calls, self._steps = map(int, counts)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...

    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self._count))]
        at = index + self._count if index < 0 else index
        if not 0 <= at < self._count:
            raise IndexError(f"there is no task {index} among {self._count}")
        return self._read(at)

    def calls(self) -> TaskCalls:
        """All logical calls."""
        return TaskCalls(*self._columns("call", _CALLS, self._calls))

    def steps(self) -> TaskSteps:
        """All steps."""
        return TaskSteps(*self._columns("step", _STEPS, self._steps))

    def _columns(
        self, what: str, forms: tuple[tuple[str, _Form], ...], rows: int
    ) -> list[memoryview]:
        columns = ffi.new(f"struct otrace_task_{what}_columns *")
        columns.capacity = rows
        views: list[memoryview] = []
        for name, form in forms:
            c_type, size = _C_TYPES[form]
            view = memoryview(bytearray(rows * size)).cast(form)
            setattr(columns, name, ffi.from_buffer(c_type, view))
            views.append(view)
        getattr(lib, f"otrace_tasks_read_{what}s")(self._tasks, 0, columns)
        return views

    def _read(self, index: int) -> Task:
        raw = ffi.new("struct otrace_task_info *")
        check(lib.otrace_tasks_get(self._tasks, index, raw), "a task")
        functions = self._process.functions
        return Task(
            id=raw.id,
            name=text(raw.name) or f"task {raw.id}",
            kind=_KINDS.get(raw.kind, "unknown"),
            state=_STATES.get(raw.state, "unknown"),
            parent=raw.parent or None,
            function=functions[raw.function] if raw.function else None,
            exception=functions[raw.exception].name if raw.exception else None,
            created_ns=_moment(raw.created_ns),
            started_ns=_moment(raw.started_ns),
            ended_ns=_moment(raw.ended_ns),
            last_ns=_moment(raw.last_ns),
            running_ns=raw.running_ns,
            steps=raw.steps,
            thread=raw.thread_id or None,
        )


def _moment(ns: Any) -> int | None:
    return None if ns < 0 else int(ns)
