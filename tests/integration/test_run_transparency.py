"""A program's output, exit status or signal are the same with and without `otrace run`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TIMEOUT_S = 120
SMALLEST_TRACE = 1000
PYTHON = sys.executable
MONITORING = sys.version_info >= (3, 12)


@dataclass(frozen=True)
class Case:
    """A program, and the way it is started."""

    name: str
    source: str = ""
    """Written to app.py."""
    words: tuple[str, ...] = ("app.py",)
    """What follows `python`, and `otrace run` unless `direct`."""
    direct: tuple[str, ...] = ()
    """What follows `otrace run` instead, where it differs; the plain run is `words` after python,
    or this itself when `words` is empty."""
    files: dict[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    env: dict[str, str] = field(default_factory=dict)
    clean: Callable[[bytes], bytes] = bytes
    """Takes out of stdout and stderr what differs from run to run."""
    compare_stderr: bool = True
    recorded: bool = True
    """Whether a trace is expected."""
    shell: str = ""
    """A shell command instead, with $PY for the command that starts Python."""


def flags(*words: str) -> dict[str, tuple[str, ...]]:
    """A form with interpreter flags: `python FLAGS…` and `otrace run PYTHON FLAGS…`."""
    return {"words": words, "direct": (PYTHON, *words)}


def without(pattern: str) -> Callable[[bytes], bytes]:
    """A cleaner that takes out what a regular expression matches."""
    return lambda output: re.sub(pattern.encode(), b"", output)


HELLO = "import sys\nprint('hello', sys.argv)\nprint('words', file=sys.stderr)\n"
RAISES = "def f(n):\n    if n == 0:\n        raise ValueError('no')\n    f(n - 1)\nf(3)\n"

CASES = [
    # Command forms.
    Case("script", HELLO, ("app.py", "a", "b c", "", "--", "-o", "x")),
    Case("script that takes options", HELLO, ("app.py", "serve", "--export", "x", "-o", "y")),
    Case("-c", words=("-c", "import sys; print(sys.argv, sys.path[0] == '')", "--export", "a")),
    Case(
        "-m",
        words=("-m", "package.module", "-o", "x"),
        files={"package/__init__.py": "print('package')\n", "package/module.py": HELLO},
    ),
    Case("-m that is not there", words=("-m", "nowhere_at_all")),
    Case("folder", words=("folder", "a"), files={"folder/__main__.py": HELLO}),
    Case("missing import", "import nowhere_at_all\n"),
    Case("syntax error", "def f(:\n"),
    Case("script from stdin", words=("-", "a"), stdin=HELLO.encode()),
    Case("--version", recorded=False, **flags("--version")),
    Case("-V", recorded=False, **flags("-V")),
    Case("-h", recorded=False, **flags("-h")),
    Case("bad flag", recorded=False, **flags("--nonsense")),
    Case("-v", HELLO, compare_stderr=False, **flags("-v", "app.py")),
    Case("-E", HELLO, **flags("-E", "app.py")),
    Case("-I", HELLO, **flags("-I", "app.py")),
    Case("-Es", HELLO, **flags("-Es", "app.py")),
    Case("-Esm", **flags("-Esm", "this")),
    Case("-s -B -u", HELLO, **flags("-s", "-B", "-u", "app.py")),
    Case("-O", "assert False\nprint(__debug__)\n", **flags("-O", "app.py")),
    Case("-S", "import sys\nprint('site' in sys.modules)\n", recorded=False,
         **flags("-S", "app.py")),
    Case("-X dev", "open('app.py')\n" + HELLO, **flags("-X", "dev", "app.py")),
    Case(
        "-W error",
        "import warnings\nwarnings.warn('x', DeprecationWarning)\n",
        **flags("-W", "error", "app.py"),
    ),
    Case("-X utf8", "print('ü')\n", **flags("-X", "utf8=1", "app.py")),
    Case("-i", HELLO, stdin=b"print(1 + 1)\nraise SystemExit(4)\n", **flags("-i", "app.py")),
    Case("interactive", stdin=b"print(1 + 1)\n", **flags()),
    Case("-c after flags", **flags("-I", "-c", "print(__name__)")),
    # Ways to end.
    Case("exit 3", "import sys\nsys.exit(3)\n"),
    Case("exit with words", "import sys\nsys.exit('words')\n"),
    Case("exit 256", "import sys\nsys.exit(256)\n"),
    Case("uncaught exception", RAISES),
    Case(
        "chained exceptions",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e\n",
    ),
    Case("exception group", "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n"),
    Case("os._exit", "import os\nprint('x', flush=True)\nos._exit(3)\n"),
    Case("SIGTERM", "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"),
    Case("SIGHUP", "import os, signal\nos.kill(os.getpid(), signal.SIGHUP)\n"),
    Case("SIGKILL", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"),
    Case("SIGINT without a handler", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"),
    Case(
        "SIGINT with a handler",
        "import os, signal\nsignal.signal(signal.SIGINT, lambda *a: print('got'))\n"
        "os.kill(os.getpid(), signal.SIGINT)\n",
    ),
    Case("KeyboardInterrupt caught", "try:\n    raise KeyboardInterrupt\nexcept BaseException:\n"
         "    print('caught')\n"),
    Case("abort", "import os\nos.abort()\n"),
    Case("segmentation fault", "import ctypes\nctypes.string_at(0)\n"),
    Case(
        "faulthandler",
        "import faulthandler, os, sys\n"
        "faulthandler.enable(**({'c_stack': False} if sys.version_info >= (3, 14) else {}))\n"
        "def f():\n    os.abort()\nf()\n",
        clean=without(r"0x[0-9a-f]+|\nExtension modules: .*\n"),
    ),
    Case(
        "recursion error",
        "import sys\ndef f():\n    f()\ntry:\n    f()\n"
        "except RecursionError as e:\n    print(e)\nf()\n",
    ),
    Case("memory error", "try:\n    bytearray(1 << 60)\nexcept MemoryError:\n    print('none')\n"),
    Case(
        "atexit order",
        "import atexit\nfor i in range(3):\n    atexit.register(print, i)\n"
        "atexit.register(lambda: 1 / 0)\n",
        clean=without(r"0x[0-9a-f]+"),
    ),
    Case(
        "threading._register_atexit order",
        "import atexit, threading\natexit.register(print, 'atexit')\n"
        "for i in range(3):\n    threading._register_atexit(print, i)\n",
    ),
    Case(
        "unraisable hook",
        "class A:\n    def __del__(self):\n        raise ValueError('in del')\n"
        "import sys\n"
        "sys.unraisablehook = lambda u: print(u.exc_value, type(u.object).__name__)\nA()\n",
    ),
    Case("exception in a thread", "import threading\nt = threading.Thread(target=lambda: 1 / 0,"
         " name='T')\nt.start()\nt.join()\n"),
    Case("daemon thread at the end", "import threading, time\n"
         "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('end')\n"),
    # Streams.
    Case("stdin", "import sys\nprint(sys.stdin.read().upper())\n", stdin=b"abc\n" * 5000),
    Case(
        "binary streams",
        "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])\n",
        stdin=bytes(range(256)) * 300,
    ),
    Case("stdin closed", HELLO, shell="$PY app.py a 0<&-"),
    Case("stdout closed", "import sys\nprint(sys.stdout)\n", shell="$PY app.py >&-"),
    Case("stdout full", "print('x' * 100000)\n", shell="$PY app.py >/dev/full"),
    Case("reader goes away", "while True:\n    print('line')\n",
         shell="$PY app.py | head -1"),
    Case("descriptor 3 inherited", "import os\nprint(os.read(3, 10))\n",
         shell="$PY app.py 3</dev/zero"),
    # Environment.
    Case("umask", "import os\nopen('new', 'w')\nprint(oct(os.stat('new').st_mode))\n",
         shell="umask 027; $PY app.py"),
    Case("SIGPIPE in a shell", shell="$PY app.py", source="import os\n"
         "print(os.system('(sleep 0.1; echo; echo; echo alive >&2) | true'))\n"),
    Case(
        "signal dispositions and mask",
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith(('SigBlk', 'SigIgn', 'SigCgt')):\n        print(line, end='')\n",
    ),
    Case(
        "signals as a C program gets them",
        "import os\nos.execvp('grep', ['grep', '^Sig[BIC]', '/proc/self/status'])\n",
    ),
    Case(
        "process group and session",
        "import os\nprint(os.getpgrp() == os.getpgid(os.getppid()),"
        " os.getsid(0) == os.getsid(os.getppid()), os.getpriority(os.PRIO_PROCESS, 0))\n",
    ),
    Case(
        "the program's own view",
        "import sys, os\nprint(__name__, __file__, __builtins__.__name__, sys.argv, sys.path,"
        " sys.executable, sys.flags, sys.orig_argv[1:], sorted(dir(__builtins__)),"
        " sorted(globals()), threading_count if False else None)\n"
        "print(sys.gettrace(), sys.getprofile(), sys.excepthook is sys.__excepthook__,"
        " sys.getrecursionlimit(), sys.getswitchinterval())\n",
    ),
    Case(
        "environment",
        "import os\nprint(sorted((k, v) for k, v in os.environ.items()"
        " if not k.startswith('OTRACE_') and k not in ('_', 'PYTHONPATH')))\n",
        env={"LC_ALL": "", "LANG": "C", "LC_CTYPE": "", "TRACEPARENT": "00-aa-bb-01"},
    ),
    Case("C locale in a C program", shell="unset LC_ALL LC_CTYPE LANG; $PY app.py",
         source="import sys\nprint(sys.stdout.encoding, sys.getfilesystemencodeerrors(),"
         " sys.stdout.errors)\n"),
    Case("descriptors", "import os\nprint(sorted(os.listdir('/proc/self/fd')))\n"),
    Case("modules", "import sys\nprint(sorted(m for m in sys.modules if m.partition('.')[0]"
         " not in ('otrace', '_otrace_start', '_cffi_backend', 'errno')))\n"),
    Case("threads", "import threading, os\nprint(threading.active_count(),"
         " len(os.listdir('/proc/self/task')))\n"),
    Case("warnings", "import warnings\nwarnings.warn('old')\n"
         "warnings.warn('x', DeprecationWarning)\n"),
    Case("user's sitecustomize", HELLO, env={"PYTHONPATH": "site"},
         files={"site/sitecustomize.py": "import sys\n"
                "if 'otrace' not in sys.orig_argv:\n    print('site')\n"}),
    Case("current directory removed", "import os\nos.mkdir('d')\nos.chdir('d')\n"
         "os.rmdir('../d')\ntry:\n    os.getcwd()\nexcept FileNotFoundError as e:\n    print(e)\n"),
    Case("chdir", "import os\nos.chdir('/')\nprint(os.getcwd())\n"),
    Case(
        "another user",
        "import os\nif os.getuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
        "print(os.getuid() == 0)\nimport json\nprint(json.dumps([1]))\n",
    ),
    Case(
        "closerange, and the numbers again",
        "import os\nos.closerange(3, 300)\nfd = os.open('/dev/null', os.O_WRONLY)\n"
        "os.dup2(fd, 20)\nprint(fd)\nos.write(20, b'x')\nos.close(20)\n"
        "with open('own', 'w') as f:\n    f.write('mine')\nprint(open('own').read())\n",
    ),
    Case(
        "RLIMIT_NOFILE",
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))\nfiles = []\n"
        "try:\n    while True:\n        files.append(open('/dev/null'))\n"
        "except OSError as e:\n    print(e, len(files))\n",
    ),
    Case(
        "RLIMIT_FSIZE",
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    with open('big', 'wb', buffering=0) as f:\n"
        "        while f.write(b'x' * 600):\n            pass\n"
        "except OSError as e:\n    print(e, f.name)\n",
    ),
    # Children.
    Case(
        "Popen with a positional bufsize",
        "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', 'print(1)'], 0,"
        " stdout=subprocess.PIPE)\nprint(p.communicate(), p.returncode)\n",
    ),
    Case(
        "bytes for words",
        "import subprocess, sys\nprint(subprocess.run([sys.executable.encode(), b'-c',"
        " b'import sys; print(sys.argv)', b'\\xff'], stdout=-1).stdout)\n",
    ),
    Case(
        "shell with quotes",
        "import subprocess, sys\nsubprocess.run(sys.executable + ' -c \\'print(\"it\" + chr(39) +"
        " \"s\")\\' && echo \"$HOME\" | wc -l', shell=True)\n",
    ),
    Case(
        "another environment's interpreter",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'venv', '--without-pip',"
        " 'v'], check=True)\nprint(subprocess.run(['v/bin/python', '-c', 'import sys;"
        " print(sys.prefix != sys.base_prefix)'], capture_output=True))\n",
    ),
    Case("os.system", "import os\nprint(os.system('exit 3'), os.popen('echo hi').read())\n"),
    Case(
        "fork",
        "import os\nprint('once', flush=True)\npid = os.fork()\nif pid == 0:\n"
        "    print('child', flush=True)\n    os._exit(5)\nprint(os.waitpid(pid, 0)[1])\n",
    ),
    Case(
        "fork that returns",
        "import os, sys\npid = os.fork()\nif pid:\n    print(os.waitpid(pid, 0)[1])\n"
        "else:\n    sys.exit(7)\n",
    ),
    Case("exec", "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(2)'])\n"),
    Case(
        "multiprocessing",
        "import multiprocessing as m\ndef f(x):\n    return x * x\n"
        "if __name__ == '__main__':\n    for how in ('fork', 'spawn', 'forkserver'):\n"
        "        with m.get_context(how).Pool(2) as pool:\n"
        "            print(pool.map(f, range(5)))\n",
    ),
    Case(
        "process pool",
        "from concurrent.futures import ProcessPoolExecutor\ndef f(x):\n    return -x\n"
        "if __name__ == '__main__':\n    with ProcessPoolExecutor(2) as pool:\n"
        "        print(list(pool.map(f, range(3))))\n",
    ),
    # Libraries and tools that are close to the interpreter.
    Case("asyncio", "import asyncio\n"
         "async def f(n):\n    await asyncio.sleep(0.001)\n    return n\n"
         "async def main():\n    print(await asyncio.gather(*map(f, range(5))))\n"
         "asyncio.run(main())\n"),
    Case("unittest", words=("-m", "unittest", "test_it"), files={
        "test_it.py": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
        "        pass\n    def test_b(self):\n        self.fail('b')\n"},
        clean=without(r"in [0-9.]+s")),
    Case("pytest", words=("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"), files={
        "test_it.py": "def test_a():\n    pass\ndef test_b():\n    assert [1] == [2]\n"},
        clean=without(r"in [0-9.]+s")),
    Case("doctest", words=("-m", "doctest", "mod.py"),
         files={"mod.py": "def f():\n    '''\n    >>> f()\n    2\n    '''\n    return 1\n"}),
    Case("pdb", RAISES, words=("-m", "pdb", "app.py"), stdin=b"b 3\nc\np n\nw\nq\n"),
    Case(
        "sys.setprofile",
        "import functools, sys, threading\ndef g():\n    len('x')\n"
        "def seen_after(start):\n    seen = []\n"
        "    def note(frame, event, arg):\n"
        "        seen.append((event, frame.f_code.co_name, getattr(arg, '__name__', arg)))\n"
        "    start(note)\n    g()\n    sys.setprofile(None)\n    print(seen, sys.getprofile())\n"
        "def second(note):\n    sys.setprofile(lambda *a: None)\n    sys.setprofile(note)\n"
        "    assert sys.getprofile() is note\n"
        "def beside_a_tracer(note):\n    sys.settrace(lambda *a: None)\n"
        "    sys.setprofile(note)\n    sys.settrace(None)\n"
        "def after_an_error(note):\n    try:\n        sys.setprofile()\n"
        "    except TypeError as e:\n        print(e)\n    sys.setprofile(note)\n"
        "forms = [sys.setprofile, functools.partial(sys.setprofile), second, beside_a_tracer,\n"
        "    after_an_error, getattr(threading, 'setprofile_all_threads', second)]\n"
        "for form in forms:\n    seen_after(form)\n"
        "thread = threading.Thread(target=seen_after, args=(sys.setprofile,))\n"
        "thread.start()\nthread.join()\n",
    ),
    Case(
        "a profile function that fails",
        "import sys\ndef fail(frame, event, arg):\n    raise ValueError(event)\n"
        "def f():\n    sys.setprofile(fail)\n    len('x')\n"
        "try:\n    f()\nexcept ValueError as e:\n    print(e, sys.getprofile())\n",
    ),
    Case(
        "profile",
        "def f():\n    return sum(map(abs, range(10)))\nf()\n",
        words=("-m", "profile", "app.py"),
        clean=without(r"[0-9]+\.[0-9]+|0x[0-9a-f]+"),
    ),
    Case(
        "sys.settrace",
        "import sys\nseen = []\ndef t(f, e, a):\n    seen.append((e, f.f_lineno))\n    return t\n"
        "def g():\n    x = 1\n    return x\nsys.settrace(t)\ng()\n"
        "sys.settrace(None)\nprint(seen)\n",
    ),
    Case(
        "cProfile",
        "import cProfile, pstats, io\ndef f():\n    return sum(range(10))\np = cProfile.Profile()\n"
        "p.runcall(f)\ns = pstats.Stats(p, stream=io.StringIO())\n"
        "print(sorted((k[2], v[0]) for k, v in s.stats.items()))\n",
    ),
    Case(
        "coverage",
        RAISES.replace("f(3)", "if __name__ == 'x':\n    f(3)"),
        shell="$PY -m coverage run --branch app.py && $PY -m coverage report -m",
    ),
    Case(
        "sys.monitoring",
        "import sys\nm = getattr(sys, 'monitoring', None)\nseen = []\n"
        "def g():\n    return 1\n"
        "if m:\n    m.use_tool_id(2, 'mine')\n    m.register_callback(2, m.events.PY_START,"
        " lambda c, o: seen.append(c.co_name))\n    m.set_events(2, m.events.PY_START)\n    g()\n"
        "    m.set_events(2, 0)\n    m.free_tool_id(2)\n    print(m.get_tool(0), m.get_tool(2))\n"
        "print(seen)\n",
    ),
    Case(
        "another user of co_extra",
        "import ctypes\nfreed = []\n"
        "free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(freed.append)\n"
        "def api(name, *types):\n"
        "    for prefix in ('PyUnstable_', '_Py'):\n"
        "        if hasattr(ctypes.pythonapi, prefix + name):\n"
        "            function = ctypes.pythonapi[prefix + name]\n"
        "            function.argtypes = types\n            return function\n"
        "index = api('Eval_RequestCodeExtraIndex', ctypes.c_void_p)(free)\n"
        "put = api('Code_SetExtra', ctypes.py_object, ctypes.c_ssize_t, ctypes.c_void_p)\n"
        "def make(extra):\n    names = {}\n    exec('def f(): return 1', names)\n"
        "    names['f']()\n    if extra:\n        put(names['f'].__code__, index, extra)\n"
        "    names.clear()\n"
        "for n in range(100):\n    make(n % 40)\nprint(freed)\n",
    ),
    Case("generators at the end", "def g():\n    try:\n        yield 1\n    finally:\n"
         "        print('closed')\nx = g()\nnext(x)\ny = g()\nnext(y)\ndel y\nprint('end')\n"),
    Case("greetings from C", "import ctypes, functools\nprint(sorted([3, 1, 2],"
         " key=functools.cmp_to_key(lambda a, b: a - b)), max('ab', key=str.upper))\n"),
    Case("frames", "import sys, inspect\n"
         "def f():\n    return [i.function for i in inspect.stack()]\n"
         "print(f(), sys._getframe().f_back)\n"),
    Case("garbage", "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.callbacks,"
         " gc.get_freeze_count())\n"),
    Case("audit hook", "import sys\nsys.addaudithook(lambda e, a: e == 'import' and a[0] =="
         " 'colorsys' and print(e, a[0]))\nimport colorsys\n"),
]  # fmt: skip


def run(command: list[str], case: Case, place: Path, env: dict[str, str]):
    """Run a command in a folder made anew, which has the same name each time."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    place.chmod(0o777)
    for name, text in {"app.py": case.source, **case.files}.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    if case.shell:
        quoted = " ".join(command)
        command = ["sh", "-c", case.shell.replace("$PY", quoted)]
    return subprocess.run(
        command,
        cwd=place,
        env=env,
        input=case.stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_with_and_without(case: Case, otrace, tmp_path):
    place, trace = otrace.folder / "place", tmp_path / "trace.pftrace"
    traced = [PYTHON, "-m", "otrace", "run", "-q", "-o", str(trace)]
    env = otrace.environment({"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **case.env})
    if case.shell:
        expected = run([PYTHON], case, place, env)
        actual = run(traced, case, place, env)
    else:
        expected = run([PYTHON, *case.words], case, place, env)
        actual = run([*traced, *(case.direct or case.words)], case, place, env)
    assert actual.returncode == expected.returncode, actual.stderr
    assert case.clean(actual.stdout) == case.clean(expected.stdout)
    if case.compare_stderr:
        assert case.clean(actual.stderr) == case.clean(expected.stderr)
    assert trace.exists() == case.recorded
    if case.recorded:
        assert trace.stat().st_size > SMALLEST_TRACE
    assert not otrace.sessions()


def test_a_console_script_of_any_kind(otrace):
    """What PATH finds is run as it is: a shell script here, with its own words and status."""
    folder = otrace.folder / "bin"
    folder.mkdir()
    tool = folder / "tool"
    tool.write_text('#!/bin/sh\necho "$0 $*"\ncat\nexit 9\n')
    tool.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = otrace("run", "-q", "tool", "--export", "x", env={"PATH": path}, stdin="in", status=9)
    assert done.stdout == f"{tool} --export x\nin"
    assert done.stderr == ""


def test_a_script_without_a_first_line_is_run_by_the_shell(otrace):
    tool = otrace.write("tool", "echo hello $1\n")
    tool.chmod(0o755)
    assert otrace("run", "-q", "./tool", "you").stdout == "hello you\n"
