"""Signals reach the program exactly once, stops are mirrored, and it ends as it would alone."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from integration.namespaces import unshare

WAIT_S = 30

COUNTER = """
import signal, sys, time
got = []
def note(number, frame):
    got.append(signal.Signals(number).name)
for name in ("INT", "TERM", "HUP", "USR1", "USR2", "WINCH", "CONT", "QUIT"):
    signal.signal(getattr(signal, "SIG" + name), note)
print("ready", flush=True)
sys.stdin.readline()
print(" ".join(got), flush=True)
"""
SLEEPER = """
import time
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def child_of(pid: int) -> int:
    """The program: the supervisor's child that is no copy of the supervisor itself."""
    mine = Path(f"/proc/{pid}/cmdline").read_bytes()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    programs = [c for c in children if Path(f"/proc/{c}/cmdline").read_bytes() != mine]
    assert len(programs) == 1
    return int(programs[0])


def state_of(pid: int) -> str:
    """The letter of a process's state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition, what: str) -> None:
    """Wait for something that happens soon."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def settled(pid: int, count: int) -> None:
    """Wait until the program has taken `count` signals: none is pending and it sleeps."""

    def quiet() -> bool:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        pending = [line.split()[1] for line in lines if line.startswith(("SigPnd", "ShdPnd"))]
        return state_of(pid) == "S" and not any(int(mask, 16) for mask in pending)

    for _ in range(count):
        wait_until(quiet, "the program to take its signals")
        time.sleep(0.05)  # the supervisor takes a moment before it passes a signal on


@pytest.fixture
def counting(otrace):
    """A program that counts its signals, under a supervisor in a group of its own."""
    otrace.write("app.py", COUNTER)
    process = otrace.start("run", "-q", "app.py", start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "USR1", "USR2", "WINCH", "QUIT", "CONT"])
def test_a_signal_for_the_supervisor_alone_reaches_the_program_once(counting, name):
    program = child_of(counting.pid)
    counting.send_signal(getattr(signal, f"SIG{name}"))
    settled(program, 2)
    out, _ = counting.communicate("\n", timeout=WAIT_S)
    assert out.split() == [f"SIG{name}"]
    assert counting.returncode == 0


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "USR1", "CONT"])
def test_a_signal_for_the_group_reaches_the_program_once(counting, name):
    program = child_of(counting.pid)
    os.killpg(counting.pid, getattr(signal, f"SIG{name}"))
    settled(program, 3)
    out, _ = counting.communicate("\n", timeout=WAIT_S)
    assert out.split() == [f"SIG{name}"]


def test_group_and_single_signals_in_turn_are_each_passed_once(counting):
    program = child_of(counting.pid)
    for _ in range(3):
        os.killpg(counting.pid, signal.SIGUSR1)
        settled(program, 2)
        os.kill(counting.pid, signal.SIGUSR2)
        settled(program, 2)
    out, _ = counting.communicate("\n", timeout=WAIT_S)
    assert out.split() == ["SIGUSR1", "SIGUSR2"] * 3


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "KILL", "USR1", "ALRM"])
def test_killed_by_a_signal_ends_by_the_same_signal(otrace, name):
    otrace.write("app.py", SLEEPER.replace("import time", "import time, signal", 1))
    process = otrace.start("run", "app.py")
    assert process.stdout.readline() == "ready\n"
    number = getattr(signal, f"SIG{name}")
    os.kill(child_of(process.pid) if name == "KILL" else process.pid, number)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == -number
    assert f"app.py was killed by SIG{name}" in err


def test_no_core_dump_of_the_supervisor(otrace):
    otrace.write(
        "app.py",
        "import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.abort()\n",
    )
    command = [sys.executable, "-m", "otrace", "run", "-q", "app.py"]
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *command],
        cwd=otrace.folder,
        env=otrace.environment(),
    )
    _, status = os.waitpid(process.pid, 0)
    process.returncode = 0
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)


def test_stop_and_continue_are_mirrored(otrace):
    otrace.write("app.py", COUNTER)
    process = otrace.start("run", "-q", "app.py", start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    program = child_of(process.pid)
    os.kill(program, signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert state_of(program) == "T"
    os.kill(process.pid, signal.SIGCONT)
    _, status = os.waitpid(process.pid, os.WCONTINUED)
    assert os.WIFCONTINUED(status)
    wait_until(lambda: state_of(program) != "T", "the program to go on")
    settled(program, 2)
    out, _ = process.communicate("\n", timeout=WAIT_S)
    assert out.split() == ["SIGCONT"]


def test_ignored_at_the_start_stays_ignored(otrace):
    otrace.write(
        "app.py",
        "import signal\n"
        "print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN,"
        " signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN,"
        " signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)\n",
    )
    ignoring = "trap '' INT QUIT; exec \"$@\""
    done = subprocess.run(
        ["sh", "-c", ignoring, "sh", sys.executable, "-m", "otrace", "run", "-q", "app.py"],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.stdout == "True True True\n"


def test_ignored_ends_of_children_stay_ignored(otrace):
    otrace.write(
        "app.py",
        "import signal, sys\nprint(signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN)\n"
        "sys.exit(5)\n",
    )
    done = subprocess.run(
        [sys.executable, "-m", "otrace", "run", "-q", "app.py"],
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.stdout == "True\n"
    assert done.returncode == 5


def test_closed_streams_do_not_confuse_the_supervisor(otrace):
    """Its pipes are not mistaken for the program's streams, which are closed."""
    otrace.write(
        "app.py",
        "import os, signal, time\ngot = []\n"
        "signal.signal(signal.SIGUSR1, lambda *a: got.append('once'))\n"
        "os.kill(os.getppid(), signal.SIGUSR1)\n"
        "while not got:\n    time.sleep(0.01)\n"
        "open('got', 'w').write(str([os.path.exists(f'/proc/self/fd/{n}') for n in range(3)]))\n"
        "os._exit(len(got))\n",
    )
    closing = 'exec "$@" 0<&- 1>&- 2>&-'
    command = [sys.executable, "-m", "otrace", "run", "-q", "app.py"]
    done = subprocess.run(
        ["sh", "-c", closing, "sh", *command],
        cwd=otrace.folder,
        env=otrace.environment(),
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert (otrace.folder / "got").read_text() == "[True, False, False]"


def test_killed_supervisor_leaves_the_program_undisturbed(otrace):
    done = otrace.folder / "done"
    otrace.write(
        "app.py",
        "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        f"print('still here', flush=True)\nopen({str(done)!r}, 'w').write('done')\n",
    )
    process = otrace.start("run", "app.py")
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "still here\n"
    wait_until(done.exists, "the program's end")
    process.communicate()


def test_the_program_may_outlive_nothing_of_ours(otrace):
    """A background child that keeps its streams open does not hold the supervisor up."""
    otrace.write(
        "app.py",
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    open('child', 'w').write(str(os.getpid()))\n"
        "    os.rename('child', 'pid')\n"
        "    time.sleep(600)\n",
    )
    process = otrace.start("run", "-q", "app.py", start_new_session=True)
    assert process.wait(timeout=WAIT_S) == 0
    wait_until((otrace.folder / "pid").exists, "the child to say its number")
    os.kill(int((otrace.folder / "pid").read_text()), signal.SIGKILL)
    process.communicate()


def test_a_closed_pipe_is_seen_at_the_other_end(otrace):
    """The supervisor holds no copy of the program's streams."""
    otrace.write(
        "app.py",
        "import os, sys\nos.write(1, b'last\\n')\nos.close(1)\nsys.stdin.readline()\n",
    )
    process = otrace.start("run", "-q", "app.py")
    readable, _, _ = select.select([process.stdout], [], [], WAIT_S)
    assert readable
    assert os.read(process.stdout.fileno(), 100) == b"last\n"
    assert os.read(process.stdout.fileno(), 100) == b""  # the program still runs
    assert process.poll() is None
    process.communicate("\n", timeout=WAIT_S)


def run_in_terminal(otrace, *words: str) -> tuple[int, int]:
    """Start otrace as the leader of a new terminal's session: (pid, the terminal)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(otrace.folder)
        os.execve(sys.executable, [sys.executable, "-m", "otrace", *words], otrace.environment())
    return pid, terminal


def read_until(terminal: int, text: bytes) -> bytes:
    """Read the terminal until `text` has come."""
    seen = b""
    while text not in seen:
        readable, _, _ = select.select([terminal], [], [], WAIT_S)
        assert readable, seen
        seen += os.read(terminal, 4096)
    return seen


def test_ctrl_c_reaches_the_program_once(otrace):
    otrace.write("app.py", COUNTER)
    pid, terminal = run_in_terminal(otrace, "run", "-q", "app.py")
    read_until(terminal, b"ready")
    program = child_of(pid)
    os.write(terminal, b"\x03")
    settled(program, 3)
    os.write(terminal, b"\n")
    assert read_until(terminal, b"SIGINT").count(b"SIGINT") == 1
    rest = b""
    while True:
        try:
            rest += os.read(terminal, 4096)
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"SIGINT" not in rest
    assert status == 0


def test_ctrl_z_and_a_shell_that_continues(otrace):
    """A shell with job control stops and continues the program through the supervisor."""
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("needs bash")
    otrace.write("app.py", COUNTER)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(otrace.folder)
        environment = otrace.environment({"PS1": "$ ", "HISTFILE": "/dev/null"})
        os.execve(shell, [shell, "--norc", "--noprofile", "-i"], environment)
    command = f"{sys.executable} -m otrace run -q app.py\n"
    os.write(terminal, command.encode())
    read_until(terminal, b"ready")
    os.write(terminal, b"\x1a")
    read_until(terminal, b"Stopped")
    os.write(terminal, b"fg\n")
    read_until(terminal, b"-m otrace")
    time.sleep(0.2)  # bash gives the terminal back before it continues the job
    os.write(terminal, b"\n")
    assert read_until(terminal, b"SIGCONT").count(b"SIGCONT") == 1
    os.write(terminal, b"echo status $?; exit\n")
    read_until(terminal, b"status 0")
    os.waitpid(pid, 0)
    os.close(terminal)


def test_as_pid_1_it_reaps_and_exits_with_128_and_n(otrace):
    namespace = unshare()
    otrace.write(
        "app.py",
        "import os, signal, time\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.2)\n"  # an orphan that ends: PID 1 has to collect it
        "    os._exit(0)\n"
        "os.wait()\n"
        "def zombies():\n"
        "    pids = [name for name in os.listdir('/proc') if name.isdigit()]\n"
        "    states = [open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0]"
        " for pid in pids]\n"
        "    return [state for state in states if state == 'Z']\n"
        "time.sleep(0.5)\n"
        "print(os.getppid(), zombies(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    done = subprocess.run(
        [
            *(*namespace, "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-m", "otrace", "run", "app.py"),
        ],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip("namespaces are not allowed here")
    assert done.stdout == "1 []\n"
    assert done.returncode == 128 + signal.SIGKILL
