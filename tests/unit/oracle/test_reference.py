"""The reference tracer against programs whose calls are counted by hand."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from oracle import compare, corpus
from oracle.compare import Call, Track

MONITORING = sys.version_info >= (3, 12)

Run = Callable[..., list[Track]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Trace a program given as text; the tracks it left."""

    def run(source: str, *options: str, status: int = 0) -> list[Track]:
        path, out = tmp_path / "program.py", tmp_path / "out.json"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        done = corpus.trace(path, out, *options)
        assert done.returncode == status, done.stderr
        return compare.load_reference(out)

    return run


def shape(track: Track) -> list[str]:
    """The calls as indented lines, with how they ended where it is not by a return."""
    lines = []
    for call in track.calls:
        mark = {"return": "", "unwind": f" !{call.exception}"}.get(call.ended, f" {call.ended}")
        lines.append("  " * call.depth + call.name + mark)
    return lines


def test_fib_of_five_is_fifteen_calls(run: Run) -> None:
    (track,) = run("def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(5)\n")
    counts = Counter(call.name for call in track.calls)
    assert counts == {"__main__.<module>": 1, "__main__.fib": 15}
    depths = Counter(call.depth for call in track.calls)
    assert depths == {0: 1, 1: 1, 2: 2, 3: 4, 4: 6, 5: 2}
    assert track.name == "MainThread"


def test_file_line_and_kind_of_a_definition(run: Run, tmp_path: Path) -> None:
    (track,) = run("\n\ndef f():\n    len('')\nf()\n")
    file = str(tmp_path / "program.py")
    assert track.calls[1:] == [
        Call(1, "__main__.f", "python", file=file, line=3),
        Call(2, "builtins.len", "c"),
    ]


def test_without_c_calls_only_python_is_left(run: Run) -> None:
    (track,) = run("def f(x): return len('') + x\nsorted([2, 1], key=f)\n", "--no-c-calls")
    assert shape(track) == ["__main__.<module>", "  __main__.f", "  __main__.f"]


def test_generator_resumptions_are_a_slice_each(run: Run) -> None:
    (track,) = run(
        """
        def two():
            yield 1
            yield None
        for x in two(): abs(1)
        """
    )
    assert shape(track) == [
        "__main__.<module>",
        "  __main__.two yield",
        "  builtins.abs",
        "  __main__.two yield",
        "  builtins.abs",
        "  __main__.two",
    ]


def test_a_throw_is_a_slice_that_yields_or_unwinds(run: Run) -> None:
    (track,) = run(
        """
        def g():
            while True:
                try: yield
                except ValueError: pass
        it = g()
        next(it)
        it.throw(ValueError())
        try: it.throw(KeyError())
        except KeyError: pass
        """
    )
    calls = [line for line in shape(track) if not line.strip().startswith(("ValueE", "KeyE"))]
    assert calls == [
        "__main__.<module>",
        "  builtins.next",
        "    __main__.g yield",
        "  generator.throw",
        "    __main__.g yield",
        "  generator.throw !KeyError",
        "    __main__.g !KeyError",
    ]


def test_exceptions_are_named_on_every_frame_they_leave(run: Run) -> None:
    (track,) = run(
        """
        class Boom(Exception): pass
        def inner(): raise Boom
        def key(x): inner()
        def none():
            try: sorted([1], key=key)
            except Boom: return None
        none()
        int('x')
        """,
        status=1,
    )
    lines = shape(track)
    assert lines[0] == "__main__.<module> !ValueError"
    assert lines[-1].strip() == (
        "int !ValueError" if MONITORING else "__main__.inner !__main__.Boom"
    )
    start = lines.index("  __main__.none")
    assert lines[start : start + 4] == [
        "  __main__.none",
        "    builtins.sorted !__main__.Boom",
        "      __main__.key !__main__.Boom",
        "        __main__.inner !__main__.Boom",
    ]


def test_methods_are_named_by_the_type_that_defines_them(run: Run) -> None:
    (track,) = run(
        """
        import collections
        class Mine(list):
            def append(self, x): super().append(x)
            def pop(self): return None
        mine, queue, pop = Mine(), collections.deque(), [].pop
        abs(1)
        mine.append(1)
        mine.extend([1])
        queue.append(1)
        dict.fromkeys('a')
        collections.OrderedDict.fromkeys('a')
        list.__new__(Mine)
        super(Mine, mine).pop()
        mine.append(3)
        pop = super(Mine, mine).pop
        pop()
        str.maketrans('a', 'b')
        Mine.mro()
        """
    )
    calls = [call.name for call in track.calls if call.kind == "c" and call.name != "super"]
    assert calls[calls.index("builtins.abs") + 1 :] == [
        "list.append",
        "list.extend",
        "collections.deque.append",
        "dict.fromkeys",
        "collections.OrderedDict.fromkeys",
        "list.__new__",
        "list.pop",
        "list.append",
        "list.pop",
        "str.maketrans",
        "type.mro",
    ]


@pytest.mark.skipif(not MONITORING, reason="3.11's profile hook does not report calls of types")
def test_types_slots_and_other_callables_have_their_types_name(run: Run) -> None:
    (track,) = run(
        """
        import functools
        class Foo:
            def __call__(self): pass
        Foo()()
        int('1')
        functools.partial(int)()
        dict.__init__({})
        [].__len__()
        """
    )
    names = [call.name for call in track.calls if call.kind == "c" and call.depth == 1]
    assert names[-7:] == [
        "__main__.Foo",
        "__main__.Foo",
        "int",
        "functools.partial",
        "functools.partial",
        "dict.__init__",
        "list.__len__",
    ]


@pytest.mark.skipif(not MONITORING, reason="3.11's profile hook does not report the call")
def test_a_call_that_never_reports_its_end_is_closed(run: Run) -> None:
    (track,) = run("import types\ntypes.MethodType(len, [1])()\nabs(1)\n")
    assert shape(track)[-3:] == ["  method", "  builtins.len", "  builtins.abs"]


def test_the_module_is_the_name_in_the_globals(run: Run) -> None:
    (track,) = run(
        """
        source = "def f(): pass\\nf()"
        exec(source, {"__name__": "a.b"})
        exec(source, {"__name__": 1})
        """
    )
    names = [call.name for call in track.calls if call.kind == "python"]
    assert names == ["__main__.<module>", "a.b.<module>", "a.b.f", "<module>", "f"]


def test_threads_have_their_last_name_and_their_own_calls(run: Run) -> None:
    tracks = run(
        """
        import threading
        def work():
            threading.current_thread().name = "late"
        for name in "a", "late":
            thread = threading.Thread(target=work, name=name)
            thread.start()
            thread.join()
        """
    )
    assert [track.name for track in tracks] == ["MainThread", "late", "late"]
    for track in tracks[1:]:
        assert [call.name for call in track.calls].count("__main__.work") == 1


def test_deep_recursion_and_exit_status(run: Run) -> None:
    (track,) = run(
        """
        import sys
        sys.setrecursionlimit(10_000)
        def down(n):
            if n == 0: sys.exit(7)
            down(n - 1)
        down(5_000)
        """,
        status=7,
    )
    down = [call for call in track.calls if call.name == "__main__.down"]
    assert len(down) == 5_001
    assert {call.exception for call in down} == {"SystemExit"}
    assert track.calls[-1].depth == 5_002
    assert track.calls[-1].name == "sys.exit"


def test_a_daemon_thread_is_left_open(run: Run) -> None:
    main, background = run(
        """
        import threading
        ready, never = threading.Lock(), threading.Lock()
        ready.acquire()
        never.acquire()
        def work():
            ready.release()
            never.acquire()
        threading.Thread(target=work, daemon=True).start()
        ready.acquire()
        """
    )
    assert (main.name, main.calls[0].ended) == ("MainThread", "return")
    opened = [call.name for call in background.calls if call.ended == "open"]
    assert "__main__.work" in opened
