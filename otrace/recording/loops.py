"""Event loops that did not come round: callbacks, or all of an iteration's, that took too long."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.recording.process import Process, Track
    from otrace.recording.recording import Recording

    Step = tuple[int, int, int]
    """Start, duration, task."""

_ITERATION, _CALLBACK, _SELECT = "iteration", "callback", "select"
_PLACES = {
    ("asyncio.base_events", "BaseEventLoop._run_once"): _ITERATION,
    ("asyncio.events", "Handle._run"): _CALLBACK,
}


@dataclass(frozen=True, slots=True)
class LoopLag:
    """A time that a loop was kept from asking for what has happened."""

    kind: str
    """`callback`: one callback, such as a task's step; `loop`: from one select to the next."""
    track: Track
    start_ns: int
    duration_ns: int
    """Of `loop`: without the time spent in select."""
    task: int | None
    """`callback`: the id of the task that it ran (`process.tasks`), None: no task, or not known."""


def threshold_of(recording: Recording) -> int:
    """What `--loop-lag` said, in nanoseconds; 0: nothing."""
    options = (recording.manifest or {}).get("options")
    value = options.get("loop_lag_ns") if isinstance(options, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def loop_lags(process: Process, threshold_ns: int) -> list[LoopLag]:
    """The lags of at least `threshold_ns` in the order of their starts. Raises RecordingError.

    asyncio's own loop is seen by its functions. Of other loops, and where those are filtered out,
    the steps of tasks are known: each counts as a callback that blocked the loop.
    """
    kinds = dict(_kinds(process))
    steps: dict[int, list[Step]] = defaultdict(list)
    columns = process.tasks.steps()
    for start, duration, task, thread in zip(
        columns.start_ns, columns.duration_ns, columns.task, columns.thread, strict=True
    ):
        steps[thread].append((start, duration, task))
    found: list[LoopLag] = []
    for track in process.tracks:
        mine = sorted(steps[track.id])
        rows = sorted(_rows(track, kinds))
        if any(kind == _ITERATION for _, _, kind in rows):
            found += _of_loop(track, rows, mine, threshold_ns)
        else:
            found += _of_steps(track, mine, threshold_ns)
    return sorted(found, key=lambda lag: lag.start_ns)


def _kinds(process: Process) -> Iterator[tuple[int, str]]:
    for function in process.functions:
        kind = _PLACES.get((function.module, function.qualified))
        if function.module == "selectors" and function.qualified.endswith("Selector.select"):
            kind = _SELECT
        if kind is not None:
            yield function.id, kind


def _rows(track: Track, kinds: dict[int, str]) -> Iterator[tuple[int, int, str]]:
    """Start, minus the end, kind: so that they sort with the outer ones first."""
    if not kinds:
        return
    for batch in track.batches(functions=kinds):
        for start, duration, function in zip(
            batch.start_ns, batch.duration_ns, batch.function, strict=True
        ):
            end = track.open_until_ns if duration < 0 else start + duration
            yield start, -end, kinds[function]


def _of_loop(
    track: Track, rows: list[tuple[int, int, str]], steps: list[Step], threshold_ns: int
) -> Iterator[LoopLag]:
    """Iterations nest where a callback runs another loop."""
    iterations: list[tuple[int, int, list[tuple[int, int]]]] = []

    def close(until: int) -> Iterator[LoopLag]:
        while iterations and iterations[-1][1] <= until:
            start, end, selects = iterations.pop()
            busy = end - start - sum(to - since for since, to in selects)
            behind = max((to for _, to in selects), default=start)
            if busy >= threshold_ns:
                yield LoopLag("loop", track, behind, busy, None)

    for start, minus_end, kind in rows:
        end = -minus_end
        yield from close(start)
        if kind == _ITERATION:
            iterations.append((start, end, []))
        elif kind == _SELECT and iterations:
            iterations[-1][2].append((start, end))
        elif kind == _CALLBACK and end - start >= threshold_ns:
            yield LoopLag("callback", track, start, end - start, _task_in(steps, start, end))
    yield from close(track.open_until_ns)


def _of_steps(track: Track, steps: list[Step], threshold_ns: int) -> Iterator[LoopLag]:
    for start, duration, task in steps:
        if duration >= threshold_ns:
            yield LoopLag("loop", track, start, duration, None)
            yield LoopLag("callback", track, start, duration, task)


def _task_in(steps: list[Step], start: int, end: int) -> int | None:
    """The task with the longest step within a callback."""
    at, longest, found = bisect_left(steps, (start, 0, 0)), -1, None
    while at < len(steps) and steps[at][0] < end:
        if steps[at][1] > longest:
            _, longest, found = steps[at]
        at += 1
    return found
