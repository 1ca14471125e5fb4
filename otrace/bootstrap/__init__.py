"""What a traced program loads at its start: the recorder, and nothing that the program would see.

`start` is called by the start-up file of the installed package (otrace.pth, otrace.start on
CPython 3.15) or by the sitecustomize in `site/`. A start-up line may run twice in a virtual
environment: the second call does nothing. Nothing here may raise: a program that otrace cannot
trace runs untraced.
"""

import os
import sys

_started = False


def start() -> None:
    """Record this process if it was started to be recorded (OTRACE_SESSION is set)."""
    global _started
    folder = os.environ.get("OTRACE_SESSION")
    if _started or not folder:
        return
    _started = True
    try:
        _start(folder)
    except BaseException as error:
        _leave_word(folder, error)


def _start(folder: str) -> None:
    from otrace import _lib
    from otrace.config import Options

    options = Options.from_environment(os.environ)
    if not options.follow:
        del os.environ["OTRACE_SESSION"]  # children find nothing to follow
    _lib.start(options, folder, inherited=False)
    _lib.name_process(process_name(sys.orig_argv))


def process_name(argv: list[str]) -> str:
    """What to call a process: its script's or module's name, else the interpreter's."""
    words = iter(argv[1:])
    for word in words:
        if word == "-m":
            return next(words, "python -m")
        if word == "-c":
            return "python -c"
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            next(words, None)
        elif word == "-":
            return "python -"
        elif not word.startswith("-"):
            return os.path.basename(word.rstrip("/")) or word
    return os.path.basename(argv[0]) if argv else "python"


def _leave_word(folder: str, error: BaseException) -> None:
    """Tell the supervisor why nothing was recorded: a file in the session's folder."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        path = os.path.join(folder, f"{os.getpid()}.failed")
        descriptor = os.open(path, flags, 0o600)
        try:
            os.write(descriptor, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)
    except OSError:
        pass
