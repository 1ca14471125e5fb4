"""Loops other than asyncio's own, and recordings that hold only the end of a program."""

from __future__ import annotations

import textwrap
from pathlib import Path

from oracle.corpus import otrace_run

from otrace.recording import Process, Recording


def traced(folder: Path, source: str, *options: str) -> Process:
    (folder / "app.py").write_text(textwrap.dedent(source), encoding="utf-8")
    done = otrace_run(folder, *options, "-o", "t.otrace", "app.py")
    assert done.returncode == 0, done.stderr
    (process,) = Recording.open(folder / "t.otrace").processes
    return process


def test_trio(tmp_path: Path) -> None:
    process = traced(
        tmp_path,
        """
        import trio

        async def leaf(number):
            await trio.sleep(0.001)

        async def bad():
            await leaf(0)
            raise ValueError

        async def main():
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(leaf, number, name=f"leaf{number}")
            with trio.move_on_after(0.001):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever, name="sleeper")
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(bad, name="bad")
            except* ValueError:
                pass

        trio.run(main)
        """,
    )
    tasks = {task.name: task for task in process.tasks}
    main = tasks["__main__.main"]
    states = {name: tasks[name].state for name in ("leaf0", "leaf1", "leaf2", "sleeper", "bad")}
    assert set(states.values()) - {"finished", "cancelled", "failed"} == set()
    assert [states["leaf0"], states["leaf1"], states["leaf2"]] == ["finished"] * 3
    if process.python_version >= "3.12":
        assert (states["sleeper"], states["bad"]) == ("cancelled", "failed")
    assert {tasks[name].parent for name in states} == {main.id}
    assert {task.kind for task in process.tasks} == {"trio"}


def test_a_ring_that_came_round_still_knows_its_tasks(tmp_path: Path) -> None:
    """Names are recorded again before their last record is overwritten."""
    process = traced(
        tmp_path,
        """
        import asyncio

        def work(depth):
            return 0 if depth == 0 else work(depth - 1)

        async def worker():
            for _ in range(3000):
                work(50)
                await asyncio.sleep(0)

        async def main():
            await asyncio.gather(
                *(asyncio.create_task(worker(), name=f"worker{n}") for n in range(4))
            )

        asyncio.run(main())
        """,
        "--buffer-size",
        "1MiB",
    )
    assert process.losses.chunks > 0
    workers = [task for task in process.tasks if task.name.startswith("worker")]
    assert sorted(task.name for task in workers) == [f"worker{n}" for n in range(4)]
    assert {task.state for task in workers} == {"finished"}
    assert min(task.steps for task in workers) > 10
