"""Each greenlet has a track, and its calls nest as its own frames did."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle.corpus import otrace_run

from otrace.recording import CallFlag, Process, Recording, Track

pytest.importorskip("greenlet")
PROGRAM = Path(__file__).parent / "async_programs" / "greenlets.py"
PROGRAMS = re.findall(r"@program\ndef (\w+)", PROGRAM.read_text())
HELPERS = {"note", "program", "<module>"}
Chains = Counter[tuple[str, ...]]


def traced(folder: Path, *words: str) -> Recording:
    done = otrace_run(folder, *words)
    assert done.returncode == 0, done.stderr
    return Recording.open(folder / "t.otrace")


def chains_of(track: Track, file: Path) -> Iterator[tuple[str, ...]]:
    """The functions of a file around each call of such a function, and itself."""
    calls: dict[int, tuple[str, int, bool]] = {}
    functions = track.process.functions
    for batch in track.batches():
        for row in range(len(batch)):
            function = functions[batch.function[row]]
            ours = function.file == str(file) and not batch.flags[row] & CallFlag.RESUMED
            name = function.qualified if function.file == str(file) else ""
            calls[batch.index[row]] = (name, batch.parent[row], ours)
    for name, parent, ours in calls.values():
        chain = [name]
        while parent >= 0:
            name, parent, _ = calls[parent]
            chain.append(name)
        if ours:
            yield tuple(name for name in reversed(chain) if name)


def shown(process: Process, file: Path) -> Counter[frozenset[tuple[tuple[str, ...], int]]]:
    """The chains of each track that has some; tracks have no order."""
    found = []
    for track in process.tracks:
        chains = Chains(chains_of(track, file))
        found.append(Chains({c: n for c, n in chains.items() if c[-1] not in HELPERS}))
    return Counter(frozenset(chains.items()) for chains in found if chains)


@pytest.mark.parametrize("name", PROGRAMS)
def test_calls_nest_as_the_frames_did(name: str, tmp_path: Path) -> None:
    recording = traced(tmp_path, "-o", "t.otrace", str(PROGRAM), name, "notes.json")
    assert recording.warnings == []
    process = recording.processes[0]
    notes = [
        Chains(map(tuple, calls)) for calls in json.loads((tmp_path / "notes.json").read_text())
    ]
    wanted = {function for chains in notes for chain in chains for function in chain[-1:]}
    noted = Counter(frozenset(chains.items()) for chains in notes)
    found: Counter[frozenset[tuple[tuple[str, ...], int]]] = Counter()
    for chains, count in shown(process, PROGRAM).items():
        ours = frozenset((chain, n) for chain, n in chains if chain[-1] in wanted)
        found[ours] += count if ours else 0
    assert +found == noted
    for track in process.tracks:
        assert track.summary().ends_without_begin == 0
        if track.name.startswith("greenlet"):
            assert track.summary().calls_inferred == 0


def test_names_and_arrows(tmp_path: Path) -> None:
    done = otrace_run(tmp_path, "-o", "t.json", str(PROGRAM), "nested", "notes.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    names = {row["tid"]: row["args"]["name"] for row in rows if row["name"] == "thread_name"}
    greenlets = Counter(re.sub(r"\d+", "N", name) for name in names.values())
    assert greenlets["greenlet N: nested.<locals>.inner"] == 3
    assert greenlets["greenlet N: nested.<locals>.outer"] == 3
    ends = {row["id"]: names[row["tid"]] for row in rows if row["ph"] == "f"}
    starts = {row["id"]: names[row["tid"]] for row in rows if row["ph"] == "s"}
    pairs = Counter(
        (starts[flow].rsplit(".", 1)[-1], end.rsplit(".", 1)[-1]) for flow, end in ends.items()
    )
    assert pairs == {("MainThread", "outer"): 3, ("outer", "inner"): 3}


def test_thousands(tmp_path: Path) -> None:
    """Beyond a thousand they share tracks, one after the other, and nothing is lost."""
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import greenlet

            def leaf(): pass

            def worker():
                leaf()
                main.switch()
                leaf()

            main = greenlet.getcurrent()
            for _ in range(300):
                made = [greenlet.greenlet(worker) for _ in range(10)]
                for _ in range(2):
                    for one in made:
                        one.switch()
            """
        )
    )
    (process,) = traced(tmp_path, "-o", "t.otrace", "app.py").processes
    assert process.losses.calls == 0
    tracks = [track for track in process.tracks if track.name.startswith("greenlet")]
    assert len(tracks) < 1020
    found = Chains()
    for track in tracks:
        chains = Chains(chains_of(track, tmp_path / "app.py"))
        assert set(chains) == {("worker",), ("worker", "leaf")}
        assert chains["worker", "leaf"] == 2 * chains["worker",]
        found += chains
    assert found == {("worker",): 3000, ("worker", "leaf"): 6000}
    assert sum(track.name.startswith("greenlets from ") for track in tracks) >= 10


def test_a_recording_within_the_program(tmp_path: Path) -> None:
    """Started and stopped while greenlets wait, twice."""
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import greenlet, otrace

            def leaf(): pass

            def turns():
                while True:
                    leaf()
                    main.switch()

            main = greenlet.getcurrent()
            one, other = greenlet.greenlet(turns), greenlet.greenlet(turns)
            one.switch()
            for _ in range(2):
                otrace.start()
                one.switch(), other.switch(), one.switch(), other.switch()
                recording = otrace.stop()
                one.switch()
                assert greenlet.gettrace() is None
                (process,) = recording.processes
                leaves = []
                for track in process.tracks:
                    names = [process.functions[f].name for b in track.batches() for f in b.function]
                    assert track.summary().ends_without_begin == 0
                    leaves.append(names.count("__main__.leaf"))
                assert sorted(leaves) == [0, 2, 2], leaves
            """
        )
    )

    subprocess.run([sys.executable, "app.py"], cwd=tmp_path, check=True)


def test_gevent(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            from gevent import monkey
            monkey.patch_all()
            import threading
            import gevent, gevent.local, gevent.pool

            local = gevent.local.local()

            def leaf(number):
                local.number = number
                gevent.sleep(0.001)
                assert local.number == number

            def worker(number):
                leaf(number)
                leaf(number)

            def forever():
                while True:
                    leaf(0)

            gevent.pool.Pool(3).map(worker, range(10))
            gevent.joinall([gevent.spawn(worker, number) for number in range(5)])
            thread = threading.Thread(target=worker, args=(1,), name="patched")
            thread.start()
            thread.join()
            killed = gevent.spawn(forever)
            gevent.sleep(0.005)
            killed.kill()
            """
        )
    )
    file = tmp_path / "app.py"
    options = ("--include", "__main__", "--include", "gevent", "--include", "threading")
    recording = traced(tmp_path, *options, "-o", "t.otrace", "app.py")
    (process,) = recording.processes
    tracks = {track.name: Chains(chains_of(track, file)) for track in process.tracks}
    worked = {name: chains for name, chains in tracks.items() if ("worker",) in chains}
    assert len(worked) == 16
    assert "patched" in worked
    for chains in worked.values():
        assert chains == {("worker",): 1, ("worker", "leaf"): 2}
    assert any(name.endswith(": Hub.run") for name in tracks)
    (killed,) = [chains for chains in tracks.values() if ("forever",) in chains]
    assert set(killed) == {("forever",), ("forever", "leaf")}


def test_sqlalchemy(tmp_path: Path) -> None:
    """Its asynchronous engine runs its own code in greenlets, and awaits in the task's."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("aiosqlite")
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import asyncio
            from sqlalchemy import text
            from sqlalchemy.ext.asyncio import create_async_engine
            from sqlalchemy.util import greenlet_spawn, await_only

            async def answer(number):
                await asyncio.sleep(0)
                return number

            def inside(number):
                return within(number) + within(number)

            def within(number):
                return await_only(answer(number))

            async def main():
                engine = create_async_engine("sqlite+aiosqlite://")
                async with engine.connect() as connection:
                    assert (await connection.execute(text("select 7"))).scalar() == 7
                await engine.dispose()
                made = [
                    asyncio.create_task(greenlet_spawn(inside, n), name=f"t{n}") for n in range(9)
                ]
                assert await asyncio.gather(*made) == [2 * n for n in range(9)]

            asyncio.run(main())
            """
        )
    )
    file = tmp_path / "app.py"
    options = ("--include", "__main__", "--include", "sqlalchemy.util")
    recording = traced(tmp_path, *options, "-o", "t.otrace", "app.py")
    (process,) = recording.processes
    inside = [Chains(chains_of(track, file)) for track in process.tracks]
    inside = [chains for chains in inside if ("inside",) in chains]
    assert inside == [{("inside",): 1, ("inside", "within"): 2}] * 9
    tasks = {task.name: task for task in process.tasks}
    assert {tasks[f"t{number}"].state for number in range(9)} == {"finished"}
    columns = process.tasks.calls()
    answers = Counter(
        task
        for task, function in zip(columns.task, columns.function, strict=True)
        if process.functions[function].name == "__main__.answer"
    )
    assert answers == {tasks[f"t{number}"].id: 2 for number in range(9)}
