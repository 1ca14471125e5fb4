"""Recordings that start and stop around living threads, within one process."""

from __future__ import annotations

import json
import subprocess
import sys

PRELUDE = """\
import json, os, sys, threading, time
import otrace
from otrace.errors import RecorderError
def step(i):
    return i
def steps_of(recording):
    counts = {}
    for process in recording.processes:
        for track in process.tracks:
            for batch in track.batches():
                for index, function in enumerate(batch.function):
                    if process.functions[function].name == "__main__.step":
                        kind = "open" if batch.duration_ns[index] < 0 else "done"
                        counts[track.name, kind] = counts.get((track.name, kind), 0) + 1
    return {f"{name} {kind}": n for (name, kind), n in counts.items()}
"""


def run(otrace, source, **options):
    """Run the program without `otrace run`; returns what it printed, as JSON."""
    otrace.write("app.py", PRELUDE + source)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "app.py"],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not otrace.sessions()
    return json.loads(done.stdout)


def test_threads_alive_before_the_start(otrace):
    """Their calls that were open are told, and all that they do from then on."""
    shown = run(
        otrace,
        """\
started, go, finished = threading.Barrier(3), threading.Event(), threading.Barrier(3)
def outer():
    started.wait()
    go.wait()
    for i in range(25):
        step(i)
    finished.wait()
    time.sleep(0)
threads = [threading.Thread(target=outer, name=f"alive {n}") for n in range(2)]
for thread in threads:
    thread.start()
started.wait()
otrace.start()
go.set()
finished.wait()
for thread in threads:
    thread.join()
print(json.dumps(steps_of(otrace.stop())))
""",
    )
    assert shown == {"alive 0 done": 25, "alive 1 done": 25}


def test_a_thread_blocked_all_the_time_is_named(otrace):
    """It called nothing: its row is there, empty, with its OS id and the recording's length."""
    shown = run(
        otrace,
        """\
import collections, queue
orders, answers = queue.SimpleQueue(), queue.SimpleQueue()
def sleeper():
    # One call into C, that goes on in there.
    collections.deque(map(answers.put, iter(orders.get, None)), 0)
thread = threading.Thread(target=sleeper, name="sleeper")
thread.start()
orders.put(1)
answers.get()
otrace.start()
step(1)
recording = otrace.stop()
tracks = [track for process in recording.processes for track in process.tracks]
found = [
    [track.name, track.os_tid == thread.native_id, track.summary().calls]
    for track in tracks if track.name == "sleeper"
]
from otrace.exporting import export
for target in ("x.json", "x.pftrace"):
    export(recording, target)
named = '"sleeper"' in open("x.json").read()
orders.put(None)
thread.join()
print(json.dumps([found, named, steps_of(recording)]))
""",
    )
    if sys.version_info >= (3, 12):
        assert shown == [[["sleeper", True, 0]], True, {"MainThread done": 1}]
    else:
        assert shown == [[], False, {"MainThread done": 1}]


def test_cycles_with_other_threads_inside_calls(otrace):
    """Nothing that happened while a recording ran is lost, and nothing else is in it."""
    shown = run(
        otrace,
        """\
go, end = threading.Barrier(4), threading.Barrier(4)
rounds = 15
def outer():
    for _ in range(rounds):
        go.wait()
        inner(40)
        end.wait()
def inner(n):
    for i in range(n):
        step(i)
threads = [threading.Thread(target=outer, name=f"t{n}") for n in range(3)]
for thread in threads:
    thread.start()
found = []
for round in range(rounds):
    if round % 3:
        otrace.start()
    go.wait()
    end.wait()
    if round % 3:
        found.append(steps_of(otrace.stop()))
for thread in threads:
    thread.join()
print(json.dumps(found))
""",
    )
    assert len(shown) == 10
    for counts in shown:
        assert counts == {"t0 done": 40, "t1 done": 40, "t2 done": 40}


def test_cycles_leave_mappings_and_descriptors_flat(otrace):
    before, after = run(
        otrace,
        """\
import otrace.recording
def busy(stop):
    while not stop.is_set():
        step(1)
def cycle():
    stop = threading.Event()
    otrace.start(buffer_size="1MiB")
    threads = [threading.Thread(target=busy, args=(stop,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.002)
    stop.set()
    recording = otrace.stop()
    for thread in threads:
        thread.join()
    del recording
def state():
    with open("/proc/self/maps") as maps:
        lines = maps.readlines()
    assert not [line for line in lines if ".segment" in line]
    return len(lines), len(os.listdir("/proc/self/fd"))
for _ in range(15):
    cycle()
before = state()
for _ in range(60):
    cycle()
print(json.dumps([before, state()]))
""",
    )
    assert after[1] == before[1]
    assert after[0] <= before[0] + 20  # the allocators move a little


def test_two_recordings_at_once_are_refused(otrace):
    shown = run(
        otrace,
        """\
otrace.start()
try:
    otrace.start()
except RecorderError as error:
    words = str(error)
step(1)
print(json.dumps([words, steps_of(otrace.stop())]))
try:
    otrace.stop()
except RecorderError:
    pass
""",
    )
    assert "already" in shown[0]
    assert shown[1] == {"MainThread done": 1}


def test_a_pause_without_a_recording(otrace):
    shown = run(
        otrace,
        """\
with otrace.pause():
    otrace.log_instant("nothing")
    with otrace.log_event("nothing"):
        step(1)
otrace.start()
step(2)
print(json.dumps(steps_of(otrace.stop())))
""",
    )
    assert shown == {"MainThread done": 1}


def test_a_stop_in_a_forked_child(otrace):
    """It is the child's own; the parent's recording goes on."""
    shown = run(
        otrace,
        """\
otrace.start(c_calls=False)
step(1)
pid = os.fork()
if pid == 0:
    otrace.stop()
    otrace.start()
    step(2)
    otrace.stop()
    os._exit(0)
_, status = os.waitpid(pid, 0)
step(3)
recording = otrace.stop()
print(json.dumps([status, steps_of(recording)]))
""",
    )
    assert shown == [0, {"MainThread done": 2}]


def test_nothing_stays_after_the_stop(otrace):
    shown = run(
        otrace,
        """\
def state():
    tools = getattr(sys, "monitoring", None)
    seen = []
    sys.setprofile(lambda frame, event, arg: seen.append(event))
    step(1)
    sys.setprofile(None)
    return [
        seen,
        [tools.get_tool(n) for n in range(6)] if tools else None,
        threading._profile_hook is None,
        sorted(name for name in os.environ if name.startswith("OTRACE_")),
    ]
before = state()
otrace.start()
during = state()
otrace.stop()
print(json.dumps([before, during, state()]))
""",
    )
    before, during, after = shown
    assert before == after
    assert during[0] == before[0]
    assert during[3]
