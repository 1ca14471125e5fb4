"""Programs that end badly: what they had done until then is in the trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from integration.recorded import Trace

# `begun` and `log` are the program's own record of what it did; `log` is not buffered.
PRELUDE = """\
import os, sys, threading, time
log = open("log", "ab", buffering=0)
def note(words):
    log.write(words.encode() + b"\\n")
def leaf(n):
    return n + 1
def unit(n):
    for i in range(n):
        leaf(i)
def work(units):
    for n in range(units):
        unit(n % 7)
        note(f"{threading.get_native_id()} {n}")
"""

ENDS = {
    "segfault": ("import ctypes", "ctypes.string_at(0)", -signal.SIGSEGV),
    "abort": ("", "os.abort()", -signal.SIGABRT),
    "os._exit": ("", "os._exit(3)", 3),
    "kill": ("import signal", "os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "sigterm": ("import signal", "os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "sigbus": ("import signal", "os.kill(os.getpid(), signal.SIGBUS)", -signal.SIGBUS),
    "fatal error": (
        "import ctypes",
        "ctypes.pythonapi.Py_FatalError(b'on purpose')",
        -signal.SIGABRT,
    ),
    "stack overflow in C": (  # the parser of regular expressions recurses
        "import ctypes",
        "ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(256), b'(' * 2_000_000, 1)",
        -signal.SIGSEGV,
    ),
    "exit of C": ("import ctypes", "ctypes.CDLL(None).exit(9)", 9),
    "_exit of C": ("import ctypes", "ctypes.CDLL(None)._exit(9)", 9),
    "exec of what is not there": ("", "os.execv('/bin/sh', ['sh', '-c', 'exit 5'])", 5),
    "uncaught": ("", "raise LookupError('on purpose')", 1),
    "recursion": ("", "def down():\n        down()\n    down()", 1),
    "memory error": ("", "bytearray(1 << 60)", 1),
    "address space": (
        "import resource",
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20)); bytearray(1 << 28)",
        1,
    ),
    "sys.exit": ("", "sys.exit(7)", 7),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_was_done_is_there_and_the_end_is_the_same(otrace, name):
    imports, end, status = ENDS[name]
    otrace.write("app.py", f"{PRELUDE}{imports}\ndef last():\n    {end}\nwork(200)\nlast()\n")
    plain = run_plain(otrace)
    assert plain.returncode == status
    (otrace.folder / "log").unlink()
    done = otrace("run", "-o", "t.json", "app.py", status=None)
    assert done.returncode == status
    assert done.stdout == plain.stdout
    assert done.stderr.startswith(plain.stderr.split("Current thread")[0].split("(most recent")[0])
    trace = Trace(otrace.folder / "t.json")
    check_units(trace, lines(otrace))
    assert trace.count("__main__.unit") == 200
    assert trace.count("__main__.leaf") == sum(n % 7 for n in range(200))
    trace.check_nesting()
    if status < 0:
        assert f"killed by {signal.Signals(-status).name}" in done.stderr
        assert trace.about["exit"] == {"signal": -status}
        assert trace.open_names()[:2] == ["__main__.<module>", "__main__.last"]
    else:
        assert trace.about["exit"] == {"status": status}
    assert not otrace.sessions()


IN_THREADS = [
    *("segfault", "abort", "os._exit", "kill", "fatal error", "stack overflow in C"),
    *("_exit of C", "exec of what is not there"),
]


@pytest.mark.parametrize("name", IN_THREADS)
def test_the_end_comes_in_a_thread(otrace, name):
    imports, end, status = ENDS[name]
    otrace.write(
        "app.py",
        f"{PRELUDE}{imports}\n"
        "ready = threading.Barrier(4)\n"
        "def finish():\n"
        "    work(50)\n"
        "    ready.wait()\n"
        f"    {end}\n"
        "def others():\n"
        "    work(50)\n"
        "    ready.wait()\n"
        "    time.sleep(60)\n"
        "for target in (finish, others, others):\n"
        "    threading.Thread(target=target, name=target.__name__).start()\n"
        "ready.wait()\n"
        "time.sleep(60)\n",
    )
    done = otrace("run", "-o", "t.json", "app.py", status=None)
    assert done.returncode == status
    trace = Trace(otrace.folder / "t.json")
    check_units(trace, lines(otrace))
    assert trace.count("__main__.unit") == 150
    (pid,) = trace.pids()
    names = trace.thread_names(pid)
    assert sorted(names.values()) == ["MainThread", "finish", "others", "others"]
    for tid, thread in names.items():
        if thread == "finish":
            assert "__main__.finish" in trace.open_names(tid=tid)


def test_a_ring_that_was_overwritten_before_the_end(otrace):
    """The enclosing calls are still told, as cut, and what is gone is counted."""
    otrace.write(
        "app.py",
        f"{PRELUDE}"
        "def main():\n"
        "    for i in range(200_000):\n"
        "        leaf(i)\n"
        "    os.kill(os.getpid(), 9)\n"
        "main()\n",
    )
    otrace(
        *("run", "-o", "t.json", "--buffer-size", "256KiB", "--no-c-calls", "app.py"),
        status=-signal.SIGKILL,
    )
    trace = Trace(otrace.folder / "t.json")
    shown = trace.count("__main__.leaf")
    before = trace.about["lost_calls"] + len(trace.done) - 200_000
    assert 0 < shown < 200_000
    assert 0 <= before < 5000  # calls of the interpreter's start
    assert trace.open_names() == ["__main__.<module>", "__main__.main"]
    assert all(row["args"]["cut"] for row in trace.open)


@pytest.fixture
def memory_group():
    """A control group of 64 MiB without swap; skips where none can be made."""
    for mount in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = mount.split()
        old, new = kind == "cgroup" and "memory" in options.split(","), kind == "cgroup2"
        group = Path(folder, f"otrace-test-{os.getpid()}")
        limit = group / ("memory.limit_in_bytes" if old else "memory.max")
        if not old and not new:
            continue
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if limit.exists():
                limit.write_text(str(64 << 20))
                yield group
                return
        finally:
            group.rmdir()
    pytest.skip("needs a memory control group of its own")


def test_the_kernel_s_out_of_memory_killer(otrace, memory_group):
    otrace.write(
        "app.py",
        f"{PRELUDE}with open({str(memory_group / 'cgroup.procs')!r}, 'w') as group:\n"
        "    group.write(str(os.getpid()))\n"
        "def last():\n"
        "    taken = []\n"
        "    while True:\n"
        "        work(1)\n"
        "        taken.append(os.urandom(1 << 20))\n"
        "last()\n",
    )
    done = otrace("run", "-o", "t.json", "app.py", status=-signal.SIGKILL)
    assert "killed by SIGKILL" in done.stderr
    trace = Trace(otrace.folder / "t.json")
    log = lines(otrace)
    assert len(log) > 20
    check_units(trace, log)
    assert trace.open_names()[:2] == ["__main__.<module>", "__main__.last"]


@pytest.mark.parametrize("error", ["MemoryError", "RecursionError"])
def test_an_error_that_the_program_survives_many_times(otrace, error):
    """In its main thread and in another; each call that raised is there."""
    cause = "bytearray(1 << 60)" if error == "MemoryError" else "(lambda f: f(f))(lambda f: f(f))"
    otrace.write(
        "app.py",
        f"{PRELUDE}def failing():\n"
        f"    try:\n        {cause}\n    except {error}:\n        leaf(1)\n"
        "def many():\n    for _ in range(5):\n        failing()\n"
        "many()\n"
        "thread = threading.Thread(target=many)\nthread.start()\nthread.join()\nprint('end')\n",
    )
    assert otrace("run", "-q", "-o", "t.json", "app.py").stdout == "end\n"
    trace = Trace(otrace.folder / "t.json")
    assert trace.count("__main__.failing") == trace.count("__main__.leaf") == 10
    assert not trace.open
    trace.check_nesting()


def run_plain(otrace) -> subprocess.CompletedProcess[str]:
    """The program without otrace."""
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines(otrace) -> list[tuple[int, int]]:
    """The program's own log: thread and number of each unit that was done."""
    text = (otrace.folder / "log").read_text()
    return [(int(line.split()[0]), int(line.split()[1])) for line in text.splitlines()]


def check_units(trace: Trace, log: list[tuple[int, int]]) -> None:
    """Each thread's units in the trace are those in the log, and at most one more."""
    for tid in {thread for thread, _ in log}:
        logged = sum(thread == tid for thread, _ in log)
        assert logged <= trace.count("__main__.unit", tid=tid) <= logged + 1
