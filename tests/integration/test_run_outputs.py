"""What `otrace run` writes, what it says, and what it refuses before the program starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

WAIT_S = 60
INPUTS = ("app.py", "started", "__pycache__")
PROGRAM = """\
import sys
def work(n):
    return sum(range(n))
for i in range(10):
    work(i)
print("words", sys.argv[1:])
open("started", "w").close()
sys.exit(3)
"""


@pytest.fixture
def place(otrace):
    otrace.write("app.py", PROGRAM)
    return otrace


def names_in(path):
    """The names of the calls in a Chrome trace."""
    rows = json.loads(path.read_bytes())["traceEvents"]
    return {row["name"] for row in rows if row["ph"] == "X"}


def files(place):
    return sorted(p.name for p in place.folder.iterdir() if p.name not in INPUTS)


def test_the_default_is_chrome_in_the_current_folder(place):
    done = place("run", "app.py", "a", status=3)
    assert done.stdout == "words ['a']\n"
    assert files(place) == ["app.json"]
    assert "__main__.work" in names_in(place.folder / "app.json")
    assert done.stderr.startswith("otrace: app.json: ")
    assert done.stderr.count("\n") == 1
    assert not place.sessions()
    place("run", "app.py", status=3)  # an older trace is overwritten


def test_quiet_says_nothing(place):
    assert place("run", "-q", "app.py", status=3).stderr == ""


@pytest.mark.parametrize(
    ("words", "rest", "written"),
    [
        (["app.py", "--export", "chrome"], [], ["app.json"]),
        (["app.py", "--export=perfetto", "a"], ["a"], ["app.pftrace"]),
        (["app.py", "-o", "t.json", "-x"], ["-x"], ["t.json"]),
        (["app.py", "-ot.json.gz"], [], ["t.json.gz"]),
        (["app.py", "serve", "--export", "x"], ["serve", "--export", "x"], ["app.json"]),
        (["app.py", "--port", "80"], ["--port", "80"], ["app.json"]),
        (["app.py", "--", "-o", "y"], ["-o", "y"], ["app.json"]),
        (["-o", "t.pftrace", "app.py"], [], ["t.pftrace"]),
        (["--export", "chrome=a.json", "--export", "perfetto=b.pftrace", "app.py"], [],
         ["a.json", "b.pftrace"]),
        (["-o", "t.json", "-m", "app", "-o", "x"], ["-o", "x"], ["t.json"]),
        (["--export", "chrome", "-m", "app"], [], ["app.json"]),
        (["-c", "import runpy; runpy.run_path('app.py')", "-o", "y"], ["-o", "y"],
         ["command.json"]),
        (["-o", "t.json", "-o", "kept.otrace", "app.py"], [], ["kept.otrace", "t.json"]),
        (["-o", "kept.otrace", "app.py"], [], ["kept.otrace"]),
    ],
)  # fmt: skip
def test_forms(place, words, rest, written):
    done = place("run", *words, status=3)
    assert done.stdout == f"words {rest}\n"
    assert files(place) == sorted(written)
    assert not place.sessions()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run needs a program, such as: otrace run app.py"),
        (["--export", "nope", "app.py"], "unknown exporter 'nope'; installed are: "),
        (["-o", "t.doc", "app.py"], "cannot tell the format of t.doc"),
        (["-o", "nowhere/t.json", "app.py"], "cannot write nowhere/t.json: No such file"),
        (["app.py", "--export", "chrome=nowhere/t.json"], "cannot write nowhere/t.json"),
        (["--nonsense", "app.py"], "No such option"),
        (["--min-duration", "50", "app.py"], "--min-duration is '50': a duration needs a unit"),
        (["--buffer-size", "much", "app.py"], "--buffer-size is 'much': not a size"),
        (["--max-depth", "-1", "app.py"], "--max-depth is '-1'"),
        (["--exporter-option", "chrome.x=1", "app.py"], "exporter chrome has no option 'x'"),
        (["--exporter-option", "x", "app.py"], "write it as EXPORTER.NAME=VALUE"),
        (["--max-spans", "3", "app.py"], "'otlp', which is not used"),
        (["--session-dir", "nowhere", "app.py"], "cannot make a recording in nowhere"),
        (["missing.py"], "no such file: missing.py"),
        (["no-such-program"], "cannot find the program 'no-such-program' on PATH"),
        (["-m"], "-m needs a module"),
    ],
)
def test_usage_errors_start_nothing(place, words, message):
    done = place("run", *words, status=None)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("otrace: ")
    assert done.stderr.count("\n") == 1
    assert files(place) == []
    assert not (place.folder / "started").exists()
    assert not place.sessions()


def test_a_bad_configuration_is_a_usage_error(place):
    (place.folder / "pyproject.toml").write_text("[tool.otrace]\nmax-deth = 3\n")
    done = place("run", "app.py", status=2)
    assert "unknown key 'max-deth' in [tool.otrace] of" in done.stderr
    done = place("run", "app.py", status=2, env={"OTRACE_MAX_DEPTH": "x"})
    assert "OTRACE_MAX_DEPTH is 'x'" in done.stderr or "max-deth" in done.stderr
    assert not (place.folder / "started").exists()


def test_a_file_of_ones_own_is_not_overwritten_unasked(place):
    mine = place.write("app.json", '{"my": "settings"}')
    done = place("run", "app.py", status=2)
    assert "app.json exists and does not look like a trace" in done.stderr
    assert mine.read_text() == '{"my": "settings"}'


def test_a_failed_export_keeps_recording_and_status(place):
    (place.folder / "out").mkdir()
    place.write("app.py", "import shutil, sys\nshutil.rmtree('out')\nsys.exit(4)\n")
    done = place("run", "-o", "out/t.json", "app.py", status=4)
    (kept,) = place.folder.glob("app-*.otrace")
    assert done.stderr.count("\n") == 1
    assert "cannot write out/t.json: No such file or directory" in done.stderr
    assert f"otrace export {kept.name} --to NAME" in done.stderr
    assert not place.sessions()
    place("export", kept.name, "-o", "again.json")
    assert names_in(place.folder / "again.json")


def test_quiet_is_silent_about_failures_and_keeps_the_recording(place):
    (place.folder / "out").mkdir()
    place.write("app.py", "import shutil\nshutil.rmtree('out')\n")
    assert place("run", "-q", "-o", "out/t.json", "app.py").stderr == ""
    assert len(list(place.folder.glob("app-*.otrace"))) == 1


def test_one_failed_export_does_not_stop_the_other(place):
    (place.folder / "out").mkdir()
    place.write("app.py", "import shutil\nshutil.rmtree('out')\n")
    done = place("run", "--export", "chrome=out/t.json", "--export", "perfetto=t.pftrace", "app.py")
    assert (place.folder / "t.pftrace").stat().st_size > 0
    assert "the recording is kept" in done.stderr


def test_keep(place):
    done = place("run", "--keep", "app.py", status=3)
    (kept,) = place.folder.glob("app-*.otrace")
    assert f"recording kept as {kept.name}" in done.stderr
    assert (place.folder / "app.json").exists()
    manifest = json.loads((kept / "manifest.json").read_text())
    assert manifest["exit"] == {"status": 3}
    assert manifest["program"] == "app.py"
    assert manifest["argv"] == ["app.py"]


def test_a_kept_name_replaces_an_older_recording_only(place):
    place("run", "-o", "x.otrace", "app.py", status=3)
    place("run", "-o", "x.otrace", "app.py", status=3)
    (place.folder / "y.otrace").mkdir()
    done = place("run", "-o", "y.otrace", "app.py", status=2)
    assert "exists and is no recording" in done.stderr


def test_session_dir(place):
    (place.folder / "here").mkdir()
    place.write("app.py", "import os\nprint(os.listdir('here'))\n")
    done = place("run", "-q", "--session-dir", "here", "app.py")
    (name,) = eval(done.stdout)
    assert name.startswith("app-")
    assert os.listdir(place.folder / "here") == []


@pytest.mark.parametrize(
    ("source", "words", "ended"),
    [
        ("import os; os.kill(os.getpid(), 9)", [], -9),
        ("import ctypes; ctypes.string_at(0)", [], -11),
        ("import os; os._exit(7)", [], 7),
        ("import os; os.abort()", [], -6),
        ("raise ValueError", [], 1),
    ],
)
def test_whatever_ends_it_the_calls_are_there(place, source, words, ended):
    place.write("app.py", f"def work(): pass\nwork()\n{source}\n")
    done = place("run", *words, "app.py", status=ended)
    assert "__main__.work" in names_in(place.folder / "app.json")
    if ended < 0:
        assert f"app.py was killed by {signal.Signals(-ended).name}" in done.stderr


def test_interrupted_by_the_person_it_is_exported(place):
    place.write(
        "app.py",
        "import time\n"
        "def work():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.1)  # a signal right before a sleep does not end it\n"
        "work()\n",
    )
    process = place.start("run", "app.py", start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGINT
    assert err.count("KeyboardInterrupt") == 1
    rows = json.loads((place.folder / "app.json").read_bytes())["traceEvents"]
    assert any(row["name"] == "__main__.work" for row in rows)


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_an_interrupted_export_keeps_recording_and_status(place, name):
    """A pipe that nobody reads holds the export up until somebody loses patience."""
    place.write("app.py", "import os, sys\nos.mkfifo('t.json')\nsys.exit(6)\n")
    process = place.start("run", "-o", "t.json", "app.py")
    deadline = time.monotonic() + WAIT_S
    while not manifest_has_exit(place):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)  # the export is about to open the pipe
    process.send_signal(getattr(signal, f"SIG{name}"))
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 6
    assert len(list(place.folder.glob("app-*.otrace"))) == 1
    assert "the export was interrupted; the recording is kept: otrace export" in err
    assert not place.sessions()


def manifest_has_exit(place):
    """Whether the supervisor has noted the program's end."""
    manifests = place.temporary.glob("*.otrace/manifest.json")
    return any('"exit"' in manifest.read_text() for manifest in manifests)


def test_nothing_recorded_says_why(place):
    done = place("run", sys.executable, "-S", "app.py", status=3)
    assert "nothing was recorded: Python's -S leaves out site-packages" in done.stderr
    done = place("run", "true")
    assert "nothing was recorded: " in done.stderr
    assert "is not run by Python" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(place) == []
    assert not place.sessions()


def test_a_killed_supervisor_leaves_a_recording_to_recover(place):
    place.write(
        "app.py",
        "import sys\ndef work(): pass\nwork()\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        "work()\nopen('done', 'w').close()\n",
    )
    process = place.start("run", "app.py")
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    (session,) = place.sessions()
    listed = place("recover").stdout
    assert str(session) in listed
    assert listed.rstrip().endswith("recording")
    process.communicate("\n")
    deadline = time.monotonic() + WAIT_S
    while not (place.folder / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while not place("recover", place.temporary).stdout.rstrip().endswith("abandoned"):
        assert time.monotonic() < deadline
    place("export", session, "-o", "t.json")
    assert "__main__.work" in names_in(place.folder / "t.json")


def test_warnings_as_errors_are_for_the_program(place):
    done = place("run", "app.py", status=3, env={"PYTHONWARNINGS": "error"})
    assert done.stderr.startswith("otrace: app.json")


def test_no_terminal_no_colours_no_bar(place):
    done = place("run", "app.py", status=3)
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


def test_running_inside_a_traced_program(place):
    """A traced program may itself use otrace run."""
    inner = [sys.executable, "-m", "otrace", "run", "-q", "-o", "inner.json", "app.py"]
    place.write("outer.py", f"import subprocess\nprint(subprocess.run({inner!r}).returncode)\n")
    done = place("run", "-q", "-o", "outer.json", "outer.py")
    assert done.stdout.splitlines()[-1] == "3"
    assert "__main__.work" in names_in(place.folder / "inner.json")
    assert "__main__.work" not in names_in(place.folder / "outer.json")


def test_the_command_that_is_installed(place):
    """The console script itself, where it is installed beside this Python."""
    command = os.path.join(os.path.dirname(sys.executable), "otrace")
    if not os.path.exists(command):
        pytest.skip("otrace is not installed as a command beside this Python")
    done = subprocess.run(
        [command, "run", "-q", "app.py"],
        cwd=place.folder,
        env=place.environment(),
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 3
    assert files(place) == ["app.json"]


def test_a_console_script_found_on_path(place):
    folder = place.folder / "bin"
    folder.mkdir()
    tool = folder / "tool"
    tool.write_text(f"#!{sys.executable}\n{PROGRAM}")
    tool.chmod(0o755)
    env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    done = place("run", "tool", "-o", "x", "--export", "y", env=env, status=3)
    assert done.stdout == "words ['-o', 'x', '--export', 'y']\n"
    assert "__main__.work" in names_in(place.folder / "tool.json")


def test_an_output_may_be_a_descriptor(place):
    """The shell's >(command) is one: it is kept for the export, and written in place."""
    read, write = os.pipe()
    command = [sys.executable, "-m", "otrace", "run", "-q", "--export", f"perfetto=/dev/fd/{write}"]
    process = subprocess.Popen(
        [*command, "app.py"],
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.DEVNULL,
        pass_fds=[write],
    )
    os.close(write)
    with open(read, "rb") as pipe:
        trace = pipe.read()
    assert process.wait(WAIT_S) == 3
    assert len(trace) > 1000
    assert files(place) == []
