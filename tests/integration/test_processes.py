"""Processes that a program starts, in every way: each is recorded, and none is disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from integration.recorded import Trace, info, wait_for

# Children note what they did; the trace has to say the same of each of them.
HELPER = """\
import os
def note(words):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{os.getpid()} {words}\\n")
def job(n):
    for i in range(n):
        step(i)
    note(f"job {n}")
def step(i):
    return i
"""
CHILD = "import sys, helper\nhelper.job(int(sys.argv[1]))\n"

FORMS = {
    "fork": """\
for n in (3, 5):
    if os.fork() == 0:
        helper.job(n)
        os._exit(0)
for _ in range(2):
    os.wait()
""",
    "fork that exits in order": """\
if os.fork() == 0:
    helper.job(4)
    sys.exit(0)
os.wait()
""",
    "fork in a thread": """\
import threading
def work():
    if os.fork() == 0:
        helper.job(6)
        os._exit(0)
    os.wait()
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
    "fork with threads alive": """\
import threading, time
go = True
def busy():
    while go:
        helper.step(1)
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
for n in range(5):
    if os.fork() == 0:
        helper.job(n + 1)
        os._exit(0)
    os.wait()
go = False
""",
    "forkpty": """\
import pty
pid, terminal = os.forkpty()
if pid == 0:
    helper.job(7)
    os._exit(0)
try:
    while os.read(terminal, 100):
        pass
except OSError:
    pass
os.waitpid(pid, 0)
""",
    "fork of a fork": """\
if os.fork() == 0:
    helper.job(1)
    if os.fork() == 0:
        helper.job(2)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
""",
    "exec": """\
if os.fork() == 0:
    helper.job(2)
    os.execv(sys.executable, [sys.executable, "child.py", "3"])
os.wait()
""",
    "exec of the program itself": """\
helper.job(2)
os.execv(sys.executable, [sys.executable, "child.py", "3"])
""",
    "posix_spawn": """\
pid = os.posix_spawn(sys.executable, [sys.executable, "child.py", "3"], os.environ)
os.waitpid(pid, 0)
""",
    "spawnv": """\
os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "child.py", "3"])
""",
    "subprocess.run": """\
import subprocess
subprocess.run([sys.executable, "child.py", "3"], check=True)
subprocess.run([sys.executable, "-E", "child.py", "4"], check=True)
subprocess.run(f"{sys.executable} child.py 5", shell=True, check=True)
""",
    "subprocess with bytes, a buffer size and a copied environment": """\
import subprocess
words = [os.fsencode(sys.executable), b"child.py", b"3"]
assert subprocess.Popen(words, -1).wait() == 0
assert subprocess.call(words, env=dict(os.environ)) == 0
subprocess.check_output(words, cwd=b".", close_fds=False)
""",
    "subprocess with preexec_fn": """\
import subprocess
subprocess.run([sys.executable, "child.py", "3"], preexec_fn=lambda: None, check=True)
""",
    "os.system and os.popen": """\
os.system(f"{sys.executable} child.py 3")
os.popen(f"{sys.executable} child.py 4").read()
""",
    "a shell script between": """\
import subprocess
subprocess.run(["sh", "between.sh", sys.executable], check=True)
""",
    "asyncio": """\
import asyncio
async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, "child.py", "3")
    await child.wait()
asyncio.run(main())
""",
    "-m, -c and standard input": """\
import subprocess
subprocess.run([sys.executable, "-m", "child", "3"], check=True)
subprocess.run([sys.executable, "-c", "import helper; helper.job(4)"], check=True)
subprocess.run([sys.executable], input=b"import helper; helper.job(5)", check=True)
""",
    "fork without Python's hooks": """\
import ctypes
for n in (3, 5):
    if ctypes.PyDLL(None).fork() == 0:
        helper.job(n)
        os._exit(0)
for _ in range(2):
    os.wait()
""",
    "every exec": """\
words = [sys.executable, "child.py", "3"]
for name in ("execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe"):
    if os.fork() == 0:
        given = words if "l" in name[4:] else [words]
        environment = [dict(os.environ)] if name.endswith("e") else []
        getattr(os, name)(sys.executable, *given, *environment)
    os.wait()
""",
    "posix_spawnp of a shell": """\
pid = os.posix_spawnp("sh", ["sh", "between.sh", sys.executable], os.environ)
os.waitpid(pid, 0)
""",
    "grandchildren": """\
import subprocess
if len(sys.argv) == 1 or sys.argv[1] != "0":
    left = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    subprocess.run([sys.executable, sys.argv[0], str(left - 1)], check=True)
helper.job(len(sys.argv) + 1)
""",
    "a session of its own": """\
import subprocess
subprocess.run([sys.executable, "-I", "-c", "import sys; sys.path.append('.');"
                " import helper; helper.job(3)"], start_new_session=True, check=True)
""",
    "a manager": """\
import multiprocessing
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Manager() as manager:
        numbers = manager.list([3, 4])
        helper.job(len(numbers))
        process = multiprocessing.get_context("fork").Process(target=helper.job, args=(numbers[1],))
        process.start()
        process.join()
""",
    "a daemon process": """\
import multiprocessing, time
def forever():
    helper.job(4)
    time.sleep(60)
process = multiprocessing.get_context("fork").Process(target=forever, daemon=True)
process.start()
while not os.path.getsize(os.environ["LOG"]):
    time.sleep(0.01)
""",
}
for method in ("fork", "spawn", "forkserver"):
    FORMS[f"multiprocessing {method}"] = f"""\
import multiprocessing
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    processes = [context.Process(target=helper.job, args=(n,)) for n in (3, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
"""
    FORMS[f"a pool, {method}"] = f"""\
import multiprocessing
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        pool.map(helper.job, range(1, 9))
"""
    FORMS[f"concurrent.futures, {method}"] = f"""\
import concurrent.futures, multiprocessing
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(helper.job, range(1, 9)))
"""


@pytest.fixture
def family(otrace):
    otrace.write("helper.py", HELPER)
    otrace.write("child.py", CHILD)
    otrace.write("between.sh", '"$1" child.py 3 && "$1" child.py 4\n')
    return otrace


def run(family, source, *options, status=0):
    """Run the program; returns its trace and its log: the numbers of steps by process."""
    family.write("app.py", f"import os, sys, helper\n{source}")
    log = family.folder / "log"
    log.touch()
    environment = {"LOG": str(log), "PYTHONWARNINGS": "ignore"}
    done = family("run", "-o", "t.json", *options, "app.py", env=environment, status=status)
    steps: dict[int, int] = {}
    for line in log.read_text().splitlines():
        pid, _, n = line.split()
        steps[int(pid)] = steps.get(int(pid), 0) + int(n)
    return Trace(family.folder / "t.json"), steps, done


@pytest.mark.parametrize("form", FORMS)
def test_children_are_recorded_each_by_itself(family, form):
    trace, steps, done = run(family, FORMS[form])
    assert steps, "the children did nothing"
    assert done.stderr.count("\n") == 1, done.stderr
    for pid, count in steps.items():
        assert pid in trace.pids()
        if form != "fork with threads alive":
            assert trace.count("helper.step", pid=pid) == count
        else:  # the thread that forked, and nothing of the others
            assert trace.count("helper.step", pid=pid) == count
            assert len(trace.thread_names(pid)) == 1
    assert not trace.about["warnings"]
    trace.check_nesting()


def test_workers_of_joblib(family):
    """Loky starts its workers by fork and exec, with a resource tracker beside them."""
    source = """\
import joblib
if __name__ == "__main__":
    joblib.Parallel(n_jobs=2)(joblib.delayed(helper.job)(n) for n in range(1, 9))
"""
    trace, steps, _ = run(family, source)
    assert sum(steps.values()) == 36
    for pid, count in steps.items():
        assert trace.count("helper.step", pid=pid) == count


def test_a_process_s_calls_are_never_its_parent_s_a_second_time(family):
    trace, _, _ = run(
        family,
        "for i in range(1000):\n    helper.step(i)\n"
        "if os.fork() == 0:\n    helper.job(10)\n    os._exit(0)\n"
        "os.wait()\nfor i in range(100):\n    helper.step(i)\n",
    )
    by_pid = sorted(trace.count("helper.step", pid=pid) for pid in trace.pids())
    assert by_pid == [10, 1100]


def test_a_fork_shows_what_was_open_around_it(family):
    trace, steps, _ = run(
        family,
        "def outer():\n    if os.fork() == 0:\n        helper.job(1)\n        os._exit(0)\n"
        "    os.wait()\nouter()\n",
    )
    (child,) = steps
    rows = [row for row in trace.open if row["pid"] == child]
    assert [row["name"] for row in rows][:2] == ["__main__.<module>", "__main__.outer"]
    assert all(row["args"]["cut"] for row in rows[:2])


def test_no_follow_records_this_process_alone(family):
    source = FORMS["fork"] + FORMS["subprocess.run"] + "helper.step(1)\n"
    trace, steps, _ = run(family, source, "--no-follow")
    assert len(steps) == 5
    assert len(trace.pids()) == 1
    assert trace.count("helper.step") == 1


def test_a_pool_that_is_terminated(family):
    source = """\
import multiprocessing, time
def sleep(n):
    helper.job(n)
    time.sleep(60)
pool = multiprocessing.get_context("fork").Pool(3)
pool.map_async(sleep, [1, 2, 3], chunksize=1)
while open(os.environ["LOG"]).read().count("job") < 3:
    time.sleep(0.01)
pool.terminate()
pool.join()
"""
    trace, steps, _ = run(family, source)
    assert sum(steps.values()) == 6
    for pid, count in steps.items():
        assert trace.count("helper.step", pid=pid) == count
        assert "__main__.sleep" in trace.open_names(pid=pid)


def test_a_child_that_outlives_the_program_is_not_waited_for(family):
    source = """\
if os.fork() == 0:
    os.setsid()
    for standard in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    helper.job(5)
    import time
    while not os.path.exists("end"):
        time.sleep(0.01)
    helper.job(6)
    os._exit(0)
import time
while "job" not in open(os.environ["LOG"]).read():
    time.sleep(0.01)
"""
    trace, steps, _ = run(family, source, "--keep")
    (daemon,) = steps
    try:
        assert trace.count("helper.step", pid=daemon) == 5
        (session,) = family.folder.glob("*.otrace")
        states = {p["pid"]: p["state"] for p in info(family, session)["processes"]}
        assert states[daemon] == "recording"
    finally:
        (family.folder / "end").touch()
    log = family.folder / "log"
    wait_for(lambda: "job 6" in log.read_text(), "the daemon goes on")
    family("export", session, "-o", "later.json")
    later = Trace(family.folder / "later.json")
    assert later.count("helper.step", pid=daemon) == 11


def test_the_recording_is_gone_while_a_child_goes_on(family):
    """Without --keep the folder is deleted; the child must not notice, its forks neither."""
    source = """\
if os.fork() == 0:
    os.setsid()
    for standard in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    import time
    while not os.path.exists("end"):
        time.sleep(0.01)
    for i in range(300_000):
        helper.step(i)
    if os.fork() == 0:
        helper.job(2)
        os._exit(0)
    os.wait()
    helper.job(3)
    os._exit(0)
"""
    _, _, _ = run(family, source)
    assert not family.sessions()
    (family.folder / "end").touch()
    log = family.folder / "log"
    wait_for(lambda: log.read_text().count("job") == 2, "the child and its own end their jobs")


def test_an_interpreter_that_is_told_not_to_start_site_runs_untraced(family):
    trace, steps, _ = run(
        family,
        "import subprocess\n"
        "subprocess.run([sys.executable, '-S', 'child.py', '3'], check=True)\n"
        "empty = {'LOG': os.environ['LOG']}\n"
        "subprocess.run([sys.executable, 'child.py', '4'], check=True, env=empty)\n",
    )
    assert len(steps) == 2
    assert len(trace.pids()) == 1


def test_clocks_of_processes_agree(family):
    """A message over a pipe is never received before it was sent."""
    source = """\
def send(pipe, n):
    os.write(pipe, b"x")
def receive(pipe, n):
    os.read(pipe, 1)
there, back = os.pipe(), os.pipe()
if os.fork() == 0:
    for n in range(1000):
        receive(there[0], n)
        send(back[1], n)
    helper.note("job 0")
    os._exit(0)
for n in range(1000):
    send(there[1], n)
    receive(back[0], n)
os.wait()
"""
    trace, steps, _ = run(family, source)
    (child,) = steps

    def times(name, of_child):
        rows = [r for r in trace.done if r["name"] == name and (r["pid"] == child) == of_child]
        return sorted((row["ts"], row["ts"] + row["dur"]) for row in rows)

    for of_child in (False, True):
        sent = times("__main__.send", of_child)
        received = times("__main__.receive", not of_child)
        assert len(sent) == len(received) == 1000
        for (began, _), (_, ended) in zip(sent, received, strict=True):
            assert began < ended


def test_children_in_library_mode(family):
    family.write(
        "app.py",
        "import os, subprocess, sys, helper, otrace\n"
        "otrace.start()\n"
        "subprocess.run([sys.executable, 'child.py', '3'], check=True)\n"
        "if os.fork() == 0:\n    helper.job(4)\n    os._exit(0)\n"
        "os.wait()\n"
        "recording = otrace.stop()\n"
        "subprocess.run([sys.executable, 'child.py', '5'], check=True)\n"
        "if os.fork() == 0:\n    helper.job(6)\n    os._exit(0)\n"
        "os.wait()\n"
        "print([[p.pid, [f.name for t in p.tracks for b in t.batches() for f in"
        " [p.functions[i] for i in b.function]].count('helper.step')]"
        " for p in recording.processes])\n"
        "print('OTRACE_SESSION' in os.environ)\n",
    )
    log = family.folder / "log"
    plain = run_plain(family, log)
    shown, inherits = plain.splitlines()
    assert inherits == "False"
    steps = {int(p): int(n) for p, _, n in map(str.split, log.read_text().splitlines())}
    recorded = {pid: n for pid, n in json.loads(shown) if n}
    assert recorded == {pid: n for pid, n in steps.items() if n in (3, 4)}


def run_plain(family, log):
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=family.folder,
        env=family.environment({"LOG": str(log)}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_a_killed_child_leaves_the_others_alone(family):
    source = """\
import signal
if os.fork() == 0:
    helper.job(5)
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
helper.job(7)
"""
    trace, steps, _ = run(family, source)
    assert {trace.count("helper.step", pid=pid) for pid in steps} == {5, 7}
    assert trace.about["exit"] == {"status": 0}


def test_killed_supervisor(family):
    """The program goes on undisturbed, and its recording stays to be exported."""
    family.write(
        "app.py",
        "import os, time, helper\nhelper.job(3)\n"
        "while not os.path.exists('end'):\n    time.sleep(0.01)\nhelper.job(4)\n",
    )
    log = family.folder / "log"
    log.touch()
    os.environ["LOG"] = str(log)
    try:
        running = family.start("run", "-o", "t.json", "app.py")
    finally:
        del os.environ["LOG"]
    wait_for(lambda: "job 3" in log.read_text(), "the program runs")
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=60)
    (family.folder / "end").touch()
    wait_for(lambda: "job 4" in log.read_text(), "the program goes on")
    (session,) = family.sessions()
    pid = int(log.read_text().split()[0])
    wait_for(lambda: info(family, session)["processes"][0]["state"] == "ended", "it ends in order")
    assert str(session) in family("recover", family.temporary).stdout
    family("export", session, "-o", "t.json")
    assert Trace(family.folder / "t.json").count("helper.step", pid=pid) == 7


def test_an_interpreter_that_cannot_load_otrace_runs_untraced(family):
    """As one of another version does that shares the folder of packages; `otrace info` says so."""
    (family.folder / "broken" / "otrace").mkdir(parents=True)
    family.write("broken/otrace/__init__.py", "raise ImportError('of another version')\n")
    trace, steps, _ = run(
        family,
        "import subprocess\nenv = dict(os.environ, PYTHONPATH='broken')\n"
        "subprocess.run([sys.executable, 'child.py', '3'], check=True, env=env)\n"
        "helper.step(1)\n",
        "--keep",
    )
    (child,) = steps
    assert child not in trace.pids()
    assert trace.count("helper.step") == 1
    (session,) = family.folder.glob("*.otrace")
    (failed,) = info(family, session)["not_recorded"]
    assert failed == {"pid": child, "why": "ImportError: of another version"}
    shown = family("info", session).stdout
    assert f"process {child}  not recorded: ImportError: of another version" in shown
