"""What `otrace run` starts: the command line that was asked for, and its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from otrace.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otrace.config import Options

SCRIPT_SUFFIXES = (".py", ".pyc", ".pyw", ".pyz")
SESSION_VARIABLE = "OTRACE_SESSION"
COERCED_LOCALES = ("C.UTF-8", "C.utf8", "UTF-8")  # what PEP 538 sets LC_CTYPE to


@dataclass(frozen=True)
class Program:
    """A program to start: `executable` with `argv` (argv[0] included)."""

    name: str
    """What people call it: app.py, package.module, pytest."""
    executable: str
    argv: tuple[str, ...]
    interpreter: str | None
    """The Python that will run it, when that is known."""


def script(path: str, arguments: Sequence[str]) -> Program:
    """`python PATH ARGUMENTS`, by the Python that runs otrace. Raises UsageError."""
    if path != "-" and not os.path.exists(path):
        raise UsageError(f"no such file: {path}")
    name = "stdin" if path == "-" else os.path.basename(os.path.abspath(path))
    return python(name, path, *arguments)


def module(name: str, arguments: Sequence[str]) -> Program:
    """`python -m NAME ARGUMENTS`."""
    return python(name, "-m", name, *arguments)


def code(text: str, arguments: Sequence[str]) -> Program:
    """`python -c TEXT ARGUMENTS`."""
    return python("command", "-c", text, *arguments)


def python(name: str, *arguments: str) -> Program:
    """The Python that runs otrace, with these arguments."""
    executable = sys.executable
    if not executable:
        raise UsageError("cannot find the Python interpreter: sys.executable is empty")
    return Program(name, executable, (executable, *arguments), executable)


def console_script(name: str, arguments: Sequence[str]) -> Program:
    """The program found as a shell would find it. Raises UsageError."""
    path = find_executable(name)
    if path is None:
        hint = "; to run a file with Python give its name with .py" if "/" not in name else ""
        raise UsageError(f"cannot find the program {name!r} on PATH{hint}")
    return Program(os.path.basename(name), path, (name, *arguments), interpreter_of(path))


def is_script(word: str) -> bool:
    """Whether the first word after `otrace run` is run by Python, rather than found on PATH."""
    if word == "-" or word.endswith(SCRIPT_SUFFIXES):
        return True
    if os.path.isdir(word):
        return os.path.exists(os.path.join(word, "__main__.py"))
    if find_executable(word) is not None:
        return False
    return os.path.isfile(word)


def find_executable(name: str) -> str | None:
    """The file that a shell would start for `name`: by PATH, or as it is when it has a slash."""
    if "/" in name:
        return name if is_executable_file(name) else None
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if is_executable_file(path):
            return path
    return None


def is_executable_file(path: str) -> bool:
    """Whether `path` is a file that may be executed."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def interpreter_of(path: str) -> str | None:
    """The Python that will run a file: itself, or by its first line; None when it is not seen."""
    if looks_like_python(path):
        return path
    try:
        with open(path, "rb") as file:
            first = os.fsdecode(file.readline(512))
            second = os.fsdecode(file.readline(512)) if first.startswith("#!/bin/sh") else ""
    except OSError:
        return None
    if second.startswith("'''exec'"):  # how installers write interpreters with long paths
        words = second.removeprefix("'''exec'").replace('"', " ").split()
    else:
        words = first.removeprefix("#!").split() if first.startswith("#!") else []
    if words and os.path.basename(words[0]) == "env":
        words = [find_executable(word) or "" for word in words[1:] if not word.startswith("-")][:1]
    return words[0] if words and looks_like_python(words[0]) else None


def looks_like_python(path: str) -> bool:
    """Whether a path is called like a Python interpreter."""
    name = os.path.basename(path)
    return name.rstrip("0123456789.t") in ("python", "pypy") and is_executable_file(path)


def environment_for(program: Program, session: str, options: Options) -> dict[str, str]:
    """The program's environment: this one, with the session and the options."""
    from otrace.config import OPTIONS

    environment = dict(os.environ)
    if environment.get("LC_CTYPE") in COERCED_LOCALES and not in_first_environment("LC_CTYPE"):
        del environment["LC_CTYPE"]  # Python set it at our start
    chosen = options.to_environment()
    for option in OPTIONS:
        if option.field == "session_dir":  # ours alone; children that run otrace see their user's
            continue
        environment.pop(option.variable, None)
        if option.variable in chosen:
            environment[option.variable] = chosen[option.variable]
    environment[SESSION_VARIABLE] = session
    if needs_startup_folder(program.interpreter):
        folders = [startup_folder(), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(folder for folder in folders if folder)
    return environment


def needs_startup_folder(interpreter: str | None) -> bool:
    """Whether it is this environment's interpreter, and otrace.pth is not installed in it.

    In another environment without otrace.pth there is no otrace either: nothing would help.
    """
    if interpreter is None or has_startup_file(interpreter):
        return False
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(interpreter)))
    return interpreter == sys.executable or prefix == sys.prefix


def in_first_environment(variable: str) -> bool:
    """Whether the variable was there when this process was started."""
    try:
        with open("/proc/self/environ", "rb") as file:
            block = b"\0" + file.read()
    except OSError:
        return True
    return b"\0" + os.fsencode(variable) + b"=" in block


def startup_folder() -> str:
    """The folder whose sitecustomize starts recording where otrace.pth is not installed."""
    import otrace

    return os.path.join(os.path.dirname(os.path.abspath(otrace.__file__)), "bootstrap", "site")


def has_startup_file(interpreter: str) -> bool:
    """Whether this interpreter's site-packages hold otrace.pth."""
    if interpreter == sys.executable:
        folders = [path for path in sys.path if path.endswith("-packages")]
    else:
        prefix = os.path.dirname(os.path.dirname(find_executable(interpreter) or interpreter))
        folders = site_folders(prefix)
        if not os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
            folders += site_folders(os.path.dirname(os.path.dirname(os.path.realpath(interpreter))))
    return any(os.path.exists(os.path.join(folder, "otrace.pth")) for folder in folders)


def site_folders(prefix: str) -> list[str]:
    """The site-packages folders below an installation's prefix."""
    found = []
    for library in ("lib", "lib64", "local/lib"):
        folder = os.path.join(prefix, library)
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if name.startswith("python"):
                found.append(os.path.join(folder, name, "site-packages"))
                found.append(os.path.join(folder, name, "dist-packages"))
    return found
