"""The start-up line's first step, installed beside the packages.

Runs in every interpreter that sees the installed package (always, on CPython 3.15): it imports
nothing unless the process was started to be recorded, and lets nothing out. PYTEST_DONT_REWRITE
"""

import os


def start() -> None:
    """Begin recording if OTRACE_SESSION asks for it; never raises."""
    if not os.environ.get("OTRACE_SESSION"):
        return
    try:
        from otrace.bootstrap import start as begin

        begin()
    except Exception as error:  # otrace cannot be loaded here: the program runs untraced
        _leave_word(os.environ["OTRACE_SESSION"], error)


def _leave_word(folder: str, error: Exception) -> None:
    """Tell the supervisor why nothing was recorded: a file in the session's folder."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(os.path.join(folder, f"{os.getpid()}.failed"), flags, 0o600)
        try:
            os.write(descriptor, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)
    except OSError:
        pass
