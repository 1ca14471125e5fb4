"""Threads of every kind, each a track of its own with all that it did."""

from __future__ import annotations

import sys

import pytest
from integration.recorded import Trace

PRELUDE = """\
import os, sys, threading, time, _thread
lock = threading.Lock()
def note(n):
    with lock:
        with open("log", "a") as log:
            log.write(f"{threading.get_native_id()} {n}\\n")
def step(i):
    return i
def work(n):
    for i in range(n):
        step(i)
"""
NEEDS_MONITORING = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="before 3.12 only threads that Python starts can be reached"
)


def run(otrace, source, *options):
    """Run a program; returns its trace and the steps that each thread noted."""
    otrace.write("app.py", PRELUDE + source)
    (otrace.folder / "log").touch()
    otrace("run", "-o", "t.json", *options, "app.py")
    noted: dict[int, int] = {}
    for line in (otrace.folder / "log").read_text().splitlines():
        tid, n = map(int, line.split())
        noted[tid] = noted.get(tid, 0) + n
    trace = Trace(otrace.folder / "t.json")
    trace.check_nesting()
    return trace, noted


def steps_by_thread(trace):
    """The steps of each thread that did any."""
    steps: dict[int, int] = {}
    for row in trace.done:
        if row["name"] == "__main__.step":
            steps[row["tid"]] = steps.get(row["tid"], 0) + 1
    return steps


def test_threads_and_a_pool(otrace):
    trace, noted = run(
        otrace,
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def job(n):\n"
        "    work(n)\n"
        "    note(n)\n"
        "together = threading.Barrier(4)\n"
        "def first(n):\n"
        "    together.wait()\n"
        "    job(n)\n"
        "with ThreadPoolExecutor(4, thread_name_prefix='pool') as pool:\n"
        "    list(pool.map(first, range(101, 105)))\n"
        "    list(pool.map(job, range(200)))\n"
        "threads = [threading.Thread(target=job, args=(n,), name=f'own {n}') for n in (7, 8)]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n"
        "job(9)\n",
    )
    assert sum(noted.values()) == sum(steps_by_thread(trace).values())
    (pid,) = trace.pids()
    names = trace.thread_names(pid)
    assert sorted(names.values()) == sorted(
        ["MainThread", "own 7", "own 8", *(f"pool_{n}" for n in range(4))]
    )
    for tid, count in steps_by_thread(trace).items():
        if not names[tid].startswith("own"):  # of which the second may have the first's id
            assert noted[tid] == count


def test_500_short_threads_are_500_tracks(otrace):
    trace, _ = run(
        otrace,
        "for n in range(500):\n"
        "    thread = threading.Thread(target=work, args=(n % 9 + 1,), name=f'short {n}')\n"
        "    thread.start()\n"
        "    thread.join()\n",
    )
    (pid,) = trace.pids()
    names = trace.thread_names(pid)
    assert sorted(names.values()) == sorted(["MainThread", *(f"short {n}" for n in range(500))])
    assert trace.about["lost_calls"] == 0
    steps = steps_by_thread(trace)
    for tid, name in names.items():
        if name != "MainThread":
            assert steps[tid] == int(name.split()[1]) % 9 + 1


def test_many_threads_at_once(otrace):
    trace, noted = run(
        otrace,
        "def job(n):\n"
        "    work(200)\n"
        "    note(200)\n"
        "threads = [threading.Thread(target=job, args=(n,)) for n in range(100)]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n",
        *("--no-stdlib", "--no-c-calls"),
    )
    assert sum(noted.values()) == 20_000
    assert sum(steps_by_thread(trace).values()) + trace.about["lost_calls"] == 20_000


def test_more_threads_than_a_small_buffer_has_chunks(otrace):
    """Those that find none are counted; nothing waits and nothing breaks."""
    trace, _ = run(
        otrace,
        "go = threading.Barrier(101)\n"
        "def job():\n"
        "    step(1)\n"
        "    go.wait()\n"
        "    step(2)\n"
        "threads = [threading.Thread(target=job) for n in range(100)]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "go.wait()\n"
        "for thread in threads:\n"
        "    thread.join()\n",
        *("--buffer-size", "256KiB"),
    )
    (process,) = trace.about["processes"]
    assert process["no_space"] > 0


def test_names_given_late(otrace):
    trace, _ = run(
        otrace,
        "def job(name):\n"
        "    threading.current_thread().name = name\n"
        "    work(3)\n"
        "threads = [threading.Thread(target=job, args=(f'late {n}',)) for n in range(3)]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n"
        "threading.current_thread().name = 'the main one'\n",
    )
    (pid,) = trace.pids()
    names = sorted(trace.thread_names(pid).values())
    assert names == ["late 0", "late 1", "late 2", "the main one"]


def test_a_name_that_is_no_plain_text(otrace):
    """Attributes and hashes of the program's own classes are not run by the recorder."""
    trace, _ = run(
        otrace,
        "class Text(str):\n"
        "    def __hash__(self):\n"
        "        print('hashed')\n"
        "        return 1\n"
        "class Named(threading.Thread):\n"
        "    @property\n"
        "    def _name(self):\n"
        "        print('asked')\n"
        "        return Text('odd')\n"
        "    @_name.setter\n"
        "    def _name(self, name):\n"
        "        pass\n"
        "threads = [Named(target=work, args=(3,)) for _ in range(3)]\n"
        "sys.stdout = open('asked', 'w')\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n",
    )
    assert sum(steps_by_thread(trace).values()) == 9
    assert "hashed" not in (otrace.folder / "asked").read_text()


def test_raw_threads(otrace):
    trace, noted = run(
        otrace,
        "done = []\n"
        "def job(n):\n"
        "    work(n)\n"
        "    note(n)\n"
        "    done.append(n)\n"
        "for n in (11, 12, 13):\n"
        "    _thread.start_new_thread(job, (n,))\n"
        "while len(done) < 3:\n"
        "    time.sleep(0.001)\n",
    )
    assert steps_by_thread(trace) == noted


@NEEDS_MONITORING
def test_threads_that_c_created(otrace):
    """Called back through PyGILState, many times on each thread: one track a thread."""
    trace, noted = run(
        otrace,
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)\n"
        "def routine(n):\n"
        "    work(n)\n"
        "    note(n)\n"
        "    return 0\n"
        "def start(n):\n"
        "    thread = ctypes.c_ulong()\n"
        "    libc.pthread_create(ctypes.byref(thread), None, routine, ctypes.c_void_p(n))\n"
        "    libc.pthread_join(thread, None)\n"
        "for n in range(20, 25):\n"
        "    start(n)\n",
    )
    steps = steps_by_thread(trace)
    assert sorted(steps.values()) == [20, 21, 22, 23, 24]
    assert sum(noted.values()) == sum(steps.values())


def test_daemon_threads_at_the_end(otrace):
    """They are cut where the interpreter cuts them; the program ends as it would."""
    trace, _ = run(
        otrace,
        "def forever():\n"
        "    while True:\n"
        "        step(1)\n"
        "for n in range(4):\n"
        "    threading.Thread(target=forever, daemon=True, name=f'daemon {n}').start()\n"
        "work(1000)\n"
        "time.sleep(0.05)\n",
        *("--buffer-size", "4MiB", "--no-c-calls"),
    )
    (pid,) = trace.pids()
    names = trace.thread_names(pid)
    for tid, name in names.items():
        if name.startswith("daemon"):
            assert "__main__.forever" in trace.open_names(tid=tid)
    assert sum(name.startswith("daemon") for name in names.values()) == 4


def test_one_thread_s_pause_is_its_own(otrace):
    trace, _ = run(
        otrace,
        "import otrace\n"
        "go, stop = threading.Event(), threading.Event()\n"
        "def other():\n"
        "    go.wait()\n"
        "    work(50)\n"
        "    stop.set()\n"
        "thread = threading.Thread(target=other, name='other')\n"
        "thread.start()\n"
        "with otrace.pause():\n"
        "    work(1000)\n"
        "    go.set()\n"
        "    stop.wait()\n"
        "work(7)\n"
        "thread.join()\n",
    )
    assert sorted(steps_by_thread(trace).values()) == [7, 50]
