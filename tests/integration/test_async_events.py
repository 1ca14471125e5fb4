"""What a program marks in asynchronous code belongs to the task that marks it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from oracle.corpus import otrace_run

from otrace.recording import Recording

PROGRAM = """
    import asyncio, time
    import otrace

    def noted(kind):
        name = asyncio.current_task().get_name()
        return {"by": name, "kind": kind, "at": time.monotonic_ns()}

    @otrace.trace("whole")
    async def whole(times):
        otrace.log_instant("inside", noted("whole"))
        for _ in range(times):
            await asyncio.sleep(0)
        otrace.log_instant("inside", noted("whole"))

    @otrace.trace("numbers")
    async def numbers(times):
        for number in range(times):
            otrace.log_instant("inside", noted("numbers"))
            await asyncio.sleep(0)
            yield number

    async def worker(times):
        await whole(times)
        async for _ in numbers(times):
            with otrace.log_event("step", noted("step")):
                await asyncio.sleep(0)
                otrace.log_instant("inside", noted("step"))

    async def main():
        names = [f"w{number}" for number in range(4)]
        await asyncio.gather(
            *(asyncio.create_task(worker(3 + at), name=name) for at, name in enumerate(names))
        )

    asyncio.run(main())
"""


def test_marks_belong_to_their_task(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    done = otrace_run(tmp_path, "-o", "t.otrace", "app.py")
    assert done.returncode == 0, done.stderr
    recording = Recording.open(tmp_path / "t.otrace")
    (process,) = recording.processes
    names = {task.id: task.name for task in process.tasks}
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    marks = []
    for track in process.tracks:
        for batch in track.batches():
            for mark in batch.marks:
                name = names.get(mark.task)
                if mark.kind == "event" and mark.row is not None:
                    start, took = batch.start_ns[mark.row], batch.duration_ns[mark.row]
                    spans.setdefault((str(name), mark.name), []).append((start, start + took))
                    assert mark.attributes.get("by", name) == name
                elif mark.name == "inside":
                    assert mark.attributes["by"] == name
                    marks.append((name, str(mark.attributes["kind"]), mark.attributes["at"]))
    workers = {f"w{number}": 3 + number for number in range(4)}
    for name, times in workers.items():
        assert len(spans[name, "whole"]) == len(spans[name, "numbers"]) == 1
        assert len(spans[name, "step"]) == times
    assert len(marks) == sum(2 + 2 * times for times in workers.values())
    for name, kind, at in marks:  # the whole life: from the first line to the last
        ns = int(str(at)) - recording.start_mono_ns
        assert any(start <= ns <= end for start, end in spans[str(name), kind])
