"""SIGKILL at random moments: what the program had done by its own log is in the recording.

A handful of kills by default; OTRACE_SOAK=1 makes it 300.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest
from integration.recorded import Trace, wait_for

KILLS = 300 if os.environ.get("OTRACE_SOAK") == "1" else 20

COMMON = """\
import os, sys, threading
log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(n):
    # Of one width, so that no note crosses a page: a kill may cut a write there.
    words = b"%d %d %d" % (os.getpid(), threading.get_native_id(), n)
    os.write(log, words.ljust(31) + b"\\n")
def leaf(n):
    return n + 1
def unit(n):
    for i in range(n % 5):
        leaf(i)
def forever():
    n = 0
    while True:
        unit(n)
        note(n)
        n += 1
"""

# What each workload does; every unit is noted after it is done.
WORKLOADS = {
    "one thread": "forever()",
    "threads": """\
for i in range(4):
    threading.Thread(target=forever).start()
forever()
""",
    "recursion": """\
def down(depth):
    return forever() if depth == 0 else down(depth - 1)
sys.setrecursionlimit(5000)
down(900)
""",
    "exceptions": """\
def failing(n):
    unit(n)
    raise ValueError(n)
n = 0
while True:
    try:
        failing(n)
    except ValueError:
        note(n)
    n += 1
""",
    "generators": """\
def numbers():
    n = 0
    while True:
        yield n
        n += 1
for n in numbers():
    unit(n)
    note(n)
""",
    "forked children": """\
for i in range(2):
    if os.fork() == 0:
        forever()
forever()
""",
    "short threads": """\
def some(first):
    for n in range(first, first + 5):
        unit(n)
        note(n)
n = 0
while True:
    thread = threading.Thread(target=some, args=(n,))
    thread.start()
    thread.join()
    n += 5
""",
}


def processes_of(supervisor):
    """The program and its children: what is in the supervisor's session, but it and its witness."""
    found = []
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        with suppress(OSError):
            if os.getsid(pid) == supervisor:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().split(b"\0")[1:2] == [b"app.py"]:
                        found.append(pid)
    return found


def kill_at_random(otrace, source, seed, *options):
    """Run a workload and kill all of its processes; returns the trace and the log."""
    dice = random.Random(seed)
    log = otrace.folder / "log"
    log.write_bytes(b"")
    otrace.write("app.py", COMMON + source)
    running = otrace.start("run", "-o", "t.json", *options, "app.py", start_new_session=True)
    wanted = dice.randrange(0, 400)
    wait_for(lambda: log.read_bytes().count(b"\n") > wanted, "the program's log grows")
    time.sleep(dice.random() * 0.02)
    try:
        while pids := processes_of(running.pid):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        _, errors = running.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL, errors
    assert "killed by SIGKILL" in errors
    done: dict[tuple[int, int], int] = {}
    for line in log.read_text().splitlines():
        pid, tid, _ = map(int, line.split())
        done[pid, tid] = done.get((pid, tid), 0) + 1
    return Trace(otrace.folder / "t.json"), done


def leaves(first, units):
    """The calls of `leaf` in a number of units."""
    return sum(n % 5 for n in range(first, first + units))


@pytest.mark.parametrize("seed", range(KILLS))
def test_nothing_that_was_done_is_missing(otrace, seed):
    name = list(WORKLOADS)[seed % len(WORKLOADS)]
    trace, done = kill_at_random(otrace, WORKLOADS[name], seed)
    trace.check_nesting()
    assert trace.about["lost_calls"] == 0
    assert not trace.about["warnings"]
    units: dict[tuple[int, int], int] = {}
    for row in trace.done:
        if row["name"] == "__main__.unit":
            units[row["pid"], row["tid"]] = units.get((row["pid"], row["tid"]), 0) + 1
    for thread, logged in done.items():
        # At most one more was done, but not noted any more.
        assert logged <= units.get(thread, 0) <= logged + 1, (name, thread)
        if name != "short threads":
            pid, tid = thread
            shown = trace.count("__main__.leaf", pid=pid, tid=tid)
            assert leaves(0, logged) <= shown <= leaves(0, logged + 2), (name, thread)
    for thread, shown in units.items():
        assert shown <= done.get(thread, 0) + 1


@pytest.mark.parametrize("seed", range(max(2, KILLS // 10)))
def test_a_full_ring_counts_what_it_overwrote(otrace, seed):
    trace, done = kill_at_random(
        otrace,
        "for i in range(100_000):\n    leaf(i)\nforever()",
        seed,
        *("--buffer-size", "256KiB", "--no-c-calls", "--no-stdlib"),
    )
    (logged,) = done.values()
    # All there is: 100,000 leaves, and three functions a unit; the last note may not have ended.
    complete = 100_000 + leaves(0, logged) + 2 * logged - 1
    shown = len(trace.done) + trace.about["lost_calls"]
    assert trace.about["lost_calls"] > 0
    assert complete <= shown <= complete + 20
    assert trace.open_names()[:2] == ["__main__.<module>", "__main__.forever"]
