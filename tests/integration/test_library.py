"""otrace as a library: record, start and stop, events, decorators, pauses, snapshots.

Each test runs a small program in a process of its own and reads the Chrome JSON that it leaves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 60


class Run:
    """What a program printed, and the rows of the traces that it left."""

    def __init__(self, folder: Path, code: str) -> None:
        self.folder = folder
        (folder / "program.py").write_text(textwrap.dedent(code), encoding="utf-8")
        self.done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def rows(self, name: str = "t.json") -> list[dict[str, Any]]:
        """The trace's events; the program must have ended well."""
        assert self.done.returncode == 0, self.done.stderr
        trace = json.loads((self.folder / name).read_text(encoding="utf-8"))
        events: list[dict[str, Any]] = trace["traceEvents"]
        return events

    def named(self, name: str, file: str = "t.json") -> list[dict[str, Any]]:
        """The rows of one name."""
        return [row for row in self.rows(file) if row["name"] == name]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return lambda code: Run(tmp_path, code)


def inside(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    """Whether a complete row lies within another's time."""
    return bool(
        outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]
    )


def test_record_exports_the_body_and_nothing_else(run: Any) -> None:
    program = run(
        """
        import otrace
        def work(n):
            return n if n < 2 else work(n - 1) + work(n - 2)
        work(5)
        with otrace.record("t.json"):
            work(6)
        work(5)
        """
    )
    calls = program.named("__main__.work")
    assert len(calls) == 25
    assert {row["args"]["line"] for row in calls} == {3}
    assert not [row for row in program.rows() if "otrace" in str(row.get("args"))]


def test_record_exports_although_the_body_raises(run: Any) -> None:
    program = run(
        """
        import otrace
        def boom():
            raise KeyError("x")
        try:
            with otrace.record("t.json"):
                boom()
        except KeyError:
            print("passed on")
        """
    )
    (row,) = program.named("__main__.boom")
    assert row["args"]["ended"] == "unwind"
    assert row["args"].get("exception", "KeyError") == "KeyError"
    assert program.done.stdout == "passed on\n"


def test_start_shows_the_calls_that_are_open_as_cut(run: Any) -> None:
    program = run(
        """
        import otrace
        from otrace import exporting
        def inner():
            otrace.start(c_calls=False)
            leaf()
        def leaf():
            pass
        def outer():
            inner()
        outer()
        exporting.export(otrace.stop(), "t.json")
        """
    )
    (outer,), (inner,), (leaf,) = (
        program.named(f"__main__.{name}") for name in ("outer", "inner", "leaf")
    )
    assert outer["args"]["cut"] is True
    assert inner["args"]["cut"] is True
    assert "cut" not in leaf["args"]
    assert inside(leaf, inner)
    assert inside(inner, outer)


def test_events_carry_attributes_of_every_kind(run: Any) -> None:
    program = run(
        r"""
        import otrace
        class Odd:
            def __repr__(self): return "<odd>"
        class Broken:
            def __repr__(self): raise ValueError
        with otrace.record("t.json"):
            with otrace.log_event("load", {"db.rows": 3}, table="t", ratio=1.5, nothing=None,
                                  yes=True, huge=10**30, many=[1, "a", [2]], odd=Odd(),
                                  broken=Broken(), text="q\"\n\u2192\x01") as event:
                event.set({"later": "x"}, bytes=10)
        """
    )
    (row,) = program.named("load")
    args = row["args"]
    assert row["cat"] == "event"
    assert (args["db.rows"], args["table"], args["ratio"], args["bytes"]) == (3, "t", 1.5, 10)
    assert (args["nothing"], args["yes"], args["later"]) == (None, True, "x")
    assert args["huge"] == str(10**30)
    assert args["many"] == [1, "a", [2]]
    assert args["odd"] == "<odd>"
    assert "Broken" in args["broken"]
    assert args["text"].startswith('q"\n\u2192')


def test_an_exception_in_a_body_is_recorded_and_passes_on(run: Any) -> None:
    program = run(
        """
        import otrace
        with otrace.record("t.json"):
            try:
                with otrace.log_event("bad"):
                    raise LookupError("x")
            except LookupError:
                print("passed on")
        """
    )
    (row,) = program.named("bad")
    assert row["args"]["exception"] == "LookupError"
    assert program.done.stdout == "passed on\n"


def test_instants_and_counters(run: Any) -> None:
    program = run(
        """
        import otrace
        with otrace.record("t.json"):
            otrace.log_instant("miss", key="k")
            otrace.log_instant("start", scope="process")
            otrace.log_instant("all", {"scope": "word"}, scope="global")
            otrace.log_counter("queue", depth=5, waiting=2)
            otrace.log_counter("queue", depth=6, waiting=0.5)
        """
    )
    scopes = {row["name"]: row["s"] for row in program.rows() if row["ph"] == "i"}
    assert scopes == {"miss": "t", "start": "p", "all": "g"}
    assert program.named("miss")[0]["args"]["key"] == "k"
    assert program.named("all")[0]["args"]["scope"] == "word"
    counters = [row["args"] for row in program.rows() if row["ph"] == "C"]
    assert counters == [{"depth": 5, "waiting": 2}, {"depth": 6, "waiting": 0.5}]


def test_trace_decorates_every_kind_of_function(run: Any) -> None:
    program = run(
        """
        import asyncio, otrace
        @otrace.trace
        def plain(a): return a
        @otrace.trace("named", kind="k")
        def other(): return 2
        @otrace.trace
        def generator():
            got = yield 1
            return got
        @otrace.trace
        async def coroutine():
            await asyncio.sleep(0)
            return 3
        @otrace.trace
        async def agen():
            got = yield 1
            yield got
        class C:
            @otrace.trace
            def method(self): return self.static()
            @otrace.trace
            @staticmethod
            def static(): return 4
            @otrace.trace
            @classmethod
            def of(cls): return cls.__name__
        def drive():
            g = generator(); next(g)
            try: g.send("sent")
            except StopIteration as stop: return stop.value
        async def main():
            a = agen()
            first = await a.__anext__()
            return await coroutine(), first, await a.asend("back"), [x async for x in a]
        with otrace.record("t.json", exclude=["__main__"]):
            print(plain(1), other(), drive(), asyncio.run(main()), C().method(), C.of())
        print(plain.__name__, plain.__wrapped__(9))
        """
    )
    assert program.done.stdout == "1 2 sent (3, 1, 'back', []) 4 C\nplain 9\n"
    events = [row["name"] for row in program.rows() if row.get("cat") == "event"]
    assert sorted(set(events)) == [
        "__main__.C.method", "__main__.C.of", "__main__.C.static", "__main__.agen",
        "__main__.coroutine", "__main__.generator", "__main__.plain", "named",
    ]  # fmt: skip
    assert program.named("named")[0]["args"]["kind"] == "k"
    assert not [row for row in program.rows() if row.get("cat") == "python" and
                row["name"].startswith("__main__")]  # fmt: skip


def test_trace_refuses_what_is_no_function() -> None:
    import otrace

    with pytest.raises(TypeError, match="not a function"):
        otrace.trace(42)
    with pytest.raises(TypeError, match="not a function"):
        otrace.log_event("x")(int)


def test_a_pause_holds_for_its_own_thread(run: Any) -> None:
    program = run(
        """
        import threading, otrace
        def hidden(): pass
        def shown(): pass
        def other(): seen.wait(); shown(); done.set()
        seen, done = threading.Event(), threading.Event()
        with otrace.record("t.json"):
            thread = threading.Thread(target=other)
            thread.start()
            with otrace.pause():
                hidden()
                seen.set()
                done.wait()
                with otrace.pause():
                    hidden()
                hidden()
            shown()
            thread.join()
        """
    )
    assert not program.named("__main__.hidden")
    assert len(program.named("__main__.shown")) == 2


def test_a_snapshot_shows_the_recording_so_far(run: Any) -> None:
    program = run(
        """
        import otrace
        def before(): pass
        def after(): pass
        with otrace.record("t.json"):
            before()
            otrace.snapshot("now.json")
            after()
        """
    )
    assert len(program.named("__main__.before", "now.json")) == 1
    assert not program.named("__main__.after", "now.json")
    assert len(program.named("__main__.before")) == 1
    assert len(program.named("__main__.after")) == 1
    assert not [row for row in program.rows() if "recording" in row["name"]]


def test_without_a_recording_everything_is_safe(run: Any) -> None:
    program = run(
        """
        import otrace
        with otrace.pause():
            otrace.log_instant("a", b=1)
        with otrace.log_event("e") as event:
            event.set(a=1)
        otrace.log_counter("c", n=1)
        for wrong in (otrace.stop, lambda: otrace.snapshot("x.json")):
            try:
                wrong()
            except otrace.errors.RecorderError as error:
                print(error)
        """.replace("import otrace\n", "import otrace, otrace.errors\n", 1)
    )
    assert program.done.returncode == 0, program.done.stderr
    assert program.done.stdout == (
        "cannot stop: no recording was started in this process\n"
        "cannot take a snapshot: this process does not record\n"
    )


def test_two_recordings_at_once_are_refused(run: Any) -> None:
    program = run(
        """
        import otrace, otrace.errors
        def still(): pass
        with otrace.record("t.json"):
            try:
                otrace.start()
            except otrace.errors.RecorderError as error:
                print(error)
            still()
        """
    )
    assert len(program.named("__main__.still")) == 1
    assert program.done.stdout == (
        "cannot start: a recording already runs in this process; stop it first\n"
    )


def test_recordings_follow_each_other_with_other_filters(run: Any) -> None:
    program = run(
        """
        import otrace
        def a(): return len("x")
        def b(): return len("y")
        def both(): a(); b()
        with otrace.record("0.json", exclude_functions=["a"]): both()
        with otrace.record("1.json", exclude_functions=["b"]): both()
        with otrace.record("2.json", exclude_functions=["len"]): both()
        with otrace.record("3.json"): both()
        """
    )
    shown = [
        [row["name"].rpartition(".")[2] for row in sorted(program.rows(f"{n}.json"),
         key=lambda row: row.get("ts", 0)) if row["name"] in
         ("__main__.a", "__main__.b", "builtins.len")]
        for n in range(4)
    ]  # fmt: skip
    assert shown == [["b", "len"], ["a", "len"], ["a", "b"], ["a", "len", "b", "len"]]


def test_a_forked_child_leaves_its_parents_recording_alone(run: Any) -> None:
    program = run(
        """
        import os, otrace
        from otrace import exporting
        def child(): pass
        def parent(): pass
        otrace.start()
        pid = os.fork()
        if pid == 0:
            child()
            raise SystemExit(0)
        os.waitpid(pid, 0)
        parent()
        recording = otrace.stop()
        exporting.export(recording, "t.json")
        print(os.path.isdir(recording.path), len(recording.processes))
        """
    )
    (child,), (parent,) = program.named("__main__.child"), program.named("__main__.parent")
    assert child["pid"] != parent["pid"]
    assert program.done.stdout == "True 2\n"


def test_importing_otrace_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); import otrace\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["_cffi_backend", "otrace"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring")
def test_that_no_tool_id_was_free_is_told_to_the_reader(run: Any) -> None:
    program = run(
        """
        import os, sys, otrace
        for number in (3, 4, 5):
            sys.monitoring.use_tool_id(number, "mine")
        def work():
            pass
        with otrace.record("t.json"):
            work()
            if os.fork() == 0:
                work()
                os._exit(0)
            os.wait()
        """
    )
    assert len(program.named("__main__.work")) == 2
    trace = json.loads((program.folder / "t.json").read_text(encoding="utf-8"))
    (warning,) = trace["otherData"]["otrace"]["warnings"]
    assert warning.startswith("2 processes: all free sys.monitoring tool ids (5, 4, 3) are in use")
