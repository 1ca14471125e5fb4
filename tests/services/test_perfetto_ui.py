"""What the real Perfetto UI makes of the files that otrace writes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import from_ui
import pytest
from oracle import compare, corpus
from oracle.corpus import Program
from perfetto_ui import PerfettoUI

FILES = ("t.json", "t.pftrace")
EXPORTS = ("--export", "chrome=t.json", "--export", "perfetto=t.pftrace")
# Every program is compared by the files themselves; here, one of each kind in the UI's eyes.
NAMES = [
    "async_gather",
    "callbacks_sorted",
    "exceptions_c",
    "generators_sending",
    "json_pure",
    "recursion",
    "threads_named",
    "uncaught_exception",
]
PROGRAMS = [program for program in corpus.PROGRAMS if program.name in NAMES]
# Letters beyond ASCII, quotes, controls, what looks like JSON, a backslash at the very end.
AWKWARD = [
    "größe → 😀",
    'a "quoted" word',
    "tab\tand\nline",
    '"},{"ph":',
    "ends with \\",
    "\x01\x7f",
]


def otrace_run(folder: Path, *words: str, status: int = 0) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "otrace", "run", *words],
        cwd=folder,
        env=corpus.environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=corpus.TIMEOUT_S,
        check=False,
    )
    assert done.returncode == status, done.stderr


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda program: program.name)
def traced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Program, Path]:
    """A program, and the folder where both tracers left what they saw of it."""
    program: Program = request.param
    folder = tmp_path_factory.mktemp(program.name)
    corpus.trace(program.path, folder / "truth.json")
    otrace_run(folder, *EXPORTS, str(program.path), status=program.status)
    return program, folder


@pytest.mark.parametrize("file", FILES)
def test_the_page_shows_what_happened(
    perfetto: PerfettoUI, traced: tuple[Program, Path], file: str
) -> None:
    program, folder = traced
    with perfetto.open(folder / file) as trace:
        assert trace.stats() == {}
        shown = from_ui.load(trace)
    truth = compare.load_reference(folder / "truth.json")
    compare.assert_same(truth, shown, imports=program.imports)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the traces of a program that tells things by itself."""
    folder = tmp_path_factory.mktemp("events")
    (folder / "app.py").write_text(
        "import otrace\n"
        "def work():\n"
        "    otrace.log_instant('miss', key='k')\n"
        "with otrace.log_event('load', {'rows': 3}, table='t') as event:\n"
        "    work()\n"
        "    event.set(bytes=2**70)\n"
        "otrace.log_counter('queue', depth=5, waiting=2)\n"
        "otrace.log_counter('queue', depth=6, waiting=1.5)\n",
        encoding="utf-8",
    )
    otrace_run(folder, *EXPORTS, "app.py")
    return folder


@pytest.mark.parametrize("file", [*FILES, "t.json.gz"])
def test_events_instants_and_counters(perfetto: PerfettoUI, events: Path, file: str) -> None:
    if file.endswith(".gz"):
        otrace_run(events, "-o", file, "app.py")
    with perfetto.open(events / file) as trace:
        assert trace.stats() == {}
        nested = trace.query(
            "select s.name, parent.name as parent, s.dur = 0 as instant"
            " from slice s join slice parent on s.parent_id = parent.id"
            " where s.name in ('load', 'miss', '__main__.work') order by s.ts"
        )
        arguments = trace.query(
            "select s.name, a.display_value as value from slice s join args a using (arg_set_id)"
            " where s.name in ('load', 'miss') and (a.key glob 'args.*' or a.key glob 'debug.*')"
            " order by s.ts, value"
        )
        counters = trace.query(
            "select t.name, c.value from counter c join track t on c.track_id = t.id"
            " where t.name glob '*queue*' order by c.ts, t.name"
        )
    assert nested == [
        {"name": "load", "parent": "__main__.<module>", "instant": 0},
        {"name": "__main__.work", "parent": "load", "instant": 0},
        {"name": "miss", "parent": "__main__.work", "instant": 1},
    ]
    assert [(row["name"], row["value"]) for row in arguments] == [
        ("load", str(2**70)),
        ("load", "3"),
        ("load", "t"),
        ("miss", "k"),
    ]
    assert [row["value"] for row in counters] == [5, 2, 6, 1.5]
    assert len({row["name"] for row in counters}) == 2


@pytest.mark.parametrize("file", FILES)
def test_awkward_text_keeps_the_file_readable(
    perfetto: PerfettoUI, tmp_path: Path, file: str
) -> None:
    (tmp_path / "app.py").write_text(
        "import otrace, sys, threading\n"
        "def tell(text):\n"
        "    with otrace.log_event(text, {text: text}):\n"
        "        pass\n"
        f"for text in {[*AWKWARD, chr(0xDC80)]!a}:\n"
        "    thread = threading.Thread(target=tell, args=(text,), name=text)\n"
        "    thread.start()\n"
        "    thread.join()\n",
        encoding="utf-8",
    )
    otrace_run(tmp_path, "-o", file, "app.py")
    with perfetto.open(tmp_path / file) as trace:
        assert trace.stats() == {}
        told = trace.query("select name from slice where category = 'event' order by ts")
    assert len(told) == len(AWKWARD) + 1
    # What the page shows of escapes is its own affair; letters and words must be right.
    assert told[0] == {"name": AWKWARD[0]}
    assert told[1] == {"name": AWKWARD[1]}


FAMILY = """
import multiprocessing, os, subprocess, sys, threading
def child():
    pass
def fork():
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    os.waitpid(pid, 0)
def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, cwd=".")  # by fork_exec, always
def work():
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
if __name__ == "__main__":
    fork()
    run("import os; os.execv('/bin/sh', ['sh', '-c', 'true'])")
    run("import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'pass'])")
    thread = threading.Thread(target=work, name="starter")
    thread.start()
    thread.join()
"""
FLOWS = """
    select a.name as start, parent.name as inside, b.name as first, b.depth,
      starter.name as starter, p.pid as parent, c.pid as child, a.ts <= b.ts as forward
    from flow f
    join slice a on f.slice_out = a.id
    left join slice parent on a.parent_id = parent.id
    join slice b on f.slice_in = b.id
    join thread_track ta on a.track_id = ta.id join thread starter on ta.utid = starter.utid
    join process p on starter.upid = p.upid
    join thread_track tb on b.track_id = tb.id join thread t on tb.utid = t.utid
    join process c on t.upid = c.upid
    order by b.ts
"""


@pytest.mark.parametrize("file", FILES)
def test_arrows_lead_from_the_call_that_started_a_process_to_its_first(
    perfetto: PerfettoUI, tmp_path: Path, file: str
) -> None:
    (tmp_path / "app.py").write_text(FAMILY, encoding="utf-8")
    otrace_run(tmp_path, "-o", file, "app.py")
    with perfetto.open(tmp_path / file) as trace:
        assert trace.stats() == {}
        flows = trace.query(FLOWS)
    assert [(row["start"], row["inside"], row["starter"]) for row in flows] == [
        ("posix.fork", "__main__.fork", "MainThread"),
        ("_posixsubprocess.fork_exec", "subprocess.Popen._execute_child", "MainThread"),
        ("_posixsubprocess.fork_exec", "subprocess.Popen._execute_child", "MainThread"),
        ("posix.execv", "__main__.<module>", "MainThread"),
        ("posix.fork", "multiprocessing.popen_fork.Popen._launch", "starter"),
    ]
    assert all(row["forward"] and row["depth"] == 0 for row in flows)
    assert all(row["parent"] != row["child"] for row in flows)
    assert flows[0]["parent"] == flows[1]["parent"] == flows[4]["parent"]
    assert flows[3]["parent"] == flows[2]["child"]


@pytest.mark.parametrize("depth", [900, 5000])
@pytest.mark.parametrize("file", FILES)
def test_what_follows_a_deep_recursion_is_in_its_place(
    perfetto: PerfettoUI, tmp_path: Path, file: str, depth: int
) -> None:
    """The UI keeps 512 open slices a track; the end of a deeper one would close another."""
    (tmp_path / "app.py").write_text(
        "import sys\n"
        "sys.setrecursionlimit(10_000)\n"
        "def down(n):\n    return n and down(n - 1)\n"
        "def after():\n    pass\n"
        f"def main():\n    down({depth})\n    after()\n"
        "main()\n",
        encoding="utf-8",
    )
    otrace_run(tmp_path, "-o", file, "app.py")
    with perfetto.open(tmp_path / file) as trace:
        assert trace.stats() == {}
        counts = trace.query(
            "select count(*) as n, sum(dur < 0) as open from slice where name = '__main__.down'"
        )
        parents = trace.query(
            "select p.name from slice s join slice p on s.parent_id = p.id"
            " where s.name = '__main__.after'"
        )
        tracks = trace.query(
            "select t.name, min(s.dur) > 0 as ended, max(s.depth) < 512 as fits"
            " from slice s join track t on s.track_id = t.id"
            " where t.name glob '*deeper*' group by t.id order by t.id"
        )
    assert parents == [{"name": "__main__.main"}]
    assert counts == [{"n": depth + 1, "open": 0}]
    if file == "t.pftrace":
        assert tracks == [
            {"name": f"MainThread (deeper, {number + 1})", "ended": 1, "fits": 1}
            for number in range((depth + 3) // 512)
        ]


@pytest.mark.parametrize("file", FILES)
def test_a_killed_program_shows_what_was_open(
    perfetto: PerfettoUI, tmp_path: Path, file: str
) -> None:
    (tmp_path / "app.py").write_text(
        "import os, signal\n"
        "def outer():\n    inner()\n"
        "def inner():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "outer()\n",
        encoding="utf-8",
    )
    otrace_run(tmp_path, "-o", file, "app.py", status=-signal.SIGKILL)
    with perfetto.open(tmp_path / file) as trace:
        assert trace.stats() == {}
        open_calls = trace.query("select name from slice where dur = -1 order by depth")
    names = [row["name"] for row in open_calls]
    assert names[names.index("__main__.<module>") :] == [
        "__main__.<module>",
        "__main__.outer",
        "__main__.inner",
        "posix.kill",
    ]


@pytest.mark.parametrize("file", FILES)
def test_a_ring_that_overflowed_still_shows_the_calls_around(
    perfetto: PerfettoUI, tmp_path: Path, file: str
) -> None:
    (tmp_path / "app.py").write_text(
        "def f():\n    pass\ndef main():\n    for _ in range(300_000):\n        f()\nmain()\n",
        encoding="utf-8",
    )
    words = ("--buffer-size", "1MiB", "--keep", "-o", "ring.otrace", "-o", file, "app.py")
    otrace_run(tmp_path, *words)
    info = subprocess.run(
        [sys.executable, "-m", "otrace", "info", "--json", "ring.otrace"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    counted = json.loads(info.stdout)
    with perfetto.open(tmp_path / file) as trace:
        assert trace.stats() == {}
        shown = trace.query(
            "select name, count(*) as n from slice where category in ('python', 'c') group by name"
        )
        around = trace.query(
            "select distinct p.name from slice s join slice p on s.parent_id = p.id"
            " where s.name = '__main__.f'"
        )
    calls = {row["name"]: row["n"] for row in shown}
    assert 0 < calls["__main__.f"] < 300_000
    assert calls["__main__.<module>"] == 1
    assert around == [{"name": "__main__.main"}]
    assert sum(calls.values()) == counted["calls"]
    assert calls["__main__.f"] >= 300_000 - counted["lost"]["calls"]
