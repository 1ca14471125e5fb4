"""Limits that a recording meets: the program goes on, one line says why, the rest is readable."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from integration.namespaces import unshare
from integration.recorded import Trace, wait_for

PROGRAM = """\
import os, sys
def step(i):
    return i
def work(n):
    for i in range(n):
        step(i)
work(1000)
{middle}
work({rest})
print("done")
"""


def run(otrace, middle, *options, rest=1000):
    """Run a program that prints "done" at its end; returns its trace and what was said."""
    otrace.write("app.py", PROGRAM.format(middle=middle, rest=rest))
    done = otrace("run", "-o", "t.json", *options, "app.py")
    assert done.stdout.endswith("done\n")
    return Trace(otrace.folder / "t.json"), done


def test_a_full_disk(otrace):
    namespace = unshare()
    otrace.write("app.py", PROGRAM.format(middle="", rest=1_000_000))
    small = otrace.folder / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=2m none {small} || exit 77\nexec "$@"'
    done = subprocess.run(
        [
            *(*namespace, "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "otrace"),
            *("run", "-o", "t.json", "--session-dir", small, "app.py"),
        ],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("mounts are not allowed here")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    trace = Trace(otrace.folder / "t.json")
    (process,) = trace.about["processes"]
    assert 1000 < trace.count("__main__.step") < 1_000_000
    assert process["no_space"] > 0
    assert "No space left on device" in done.stderr
    assert "__main__.work" in trace.open_names()


def test_a_limit_on_file_sizes(otrace):
    """Set by the program itself: what is in the file already stays below it."""
    trace, _ = run(
        otrace,
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))",
        rest=500_000,
    )
    assert trace.count("__main__.step") == 501_000


def test_a_limit_on_file_sizes_from_before(otrace):
    otrace.write("app.py", PROGRAM.format(middle="", rest=1000))
    script = 'ulimit -f 1000; exec "$@"'  # half a megabyte: nothing can be recorded
    words = [sys.executable, "-m", "otrace", "run", "-o", "t.json", "app.py"]
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == "done\n"
    assert "ulimit -f" in done.stderr


def test_a_folder_that_vanishes(otrace):
    otrace.write(
        "app.py",
        PROGRAM.format(
            middle="import shutil; shutil.rmtree(os.environ['OTRACE_SESSION'])", rest=500_000
        ),
    )
    done = otrace("run", "-o", "t.json", "app.py")
    assert done.stdout == "done\n"
    assert "otrace: " in done.stderr
    assert "Traceback" not in done.stderr


def test_all_descriptors_are_closed_and_their_numbers_the_program_s(otrace):
    middle = """\
os.closerange(3, 1000)
assert [os.open("/dev/null", os.O_RDONLY) for _ in range(5)] == [3, 4, 5, 6, 7]
os.closerange(3, 1000)
"""
    trace, _ = run(otrace, middle, rest=300_000)
    assert trace.count("__main__.step") == 301_000


def test_no_descriptor_is_left_to_open(otrace):
    middle = """\
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
"""
    trace, _ = run(otrace, middle, rest=300_000)
    assert trace.count("__main__.step") == 301_000


def test_no_descriptor_of_a_segment_stays_open(otrace):
    middle = """\
for name in os.listdir("/proc/self/fd"):
    try:
        assert "otrace" not in os.readlink("/proc/self/fd/" + name), name
    except FileNotFoundError:
        pass
"""
    run(otrace, middle)


def test_a_killed_user_of_the_library(otrace):
    """Without a supervisor the folder stays: it is found, and it can be exported."""
    otrace.write(
        "app.py",
        "import os\nimport otrace\ndef step(i):\n    return i\notrace.start()\n"
        "for i in range(500):\n    step(i)\nos.kill(os.getpid(), 9)\n",
    )
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=otrace.folder,
        env=otrace.environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    (session,) = otrace.sessions()
    assert session.stat().st_mode & 0o777 == 0o700
    assert str(session) in otrace("recover", otrace.temporary).stdout
    otrace("export", session, "-o", "t.json")
    trace = Trace(otrace.folder / "t.json")
    assert trace.count("__main__.step") == 500
    assert "__main__.<module>" in trace.open_names()


def test_a_recording_is_exported_while_it_is_written(otrace):
    """A consistent prefix, as far as the program's own log at least."""
    otrace.write(
        "app.py",
        "import os\ndef step(i):\n    return i\ndef work(n):\n"
        "    for i in range(100):\n        step(i)\n    print(n, flush=True)\n"
        "n = 0\nwhile not os.path.exists('end'):\n    work(n)\n    n += 1\n",
    )
    running = otrace.start("run", "-q", "-o", "whole.json", "app.py")
    assert running.stdout is not None
    try:
        for export in range(3):
            for _ in range(20):
                done = int(running.stdout.readline()) + 1
            wait_for(otrace.sessions, "a recording")
            otrace("export", otrace.sessions()[0], "-o", f"{export}.json")
            trace = Trace(otrace.folder / f"{export}.json")
            trace.check_nesting()
            assert trace.count("__main__.work") >= done - 1  # the last may be at its print
            assert trace.count("__main__.step") >= 100 * done
    finally:
        (otrace.folder / "end").touch()
        words, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    last = int(words.split()[-1])
    assert Trace(otrace.folder / "whole.json").count("__main__.work") == last + 1
