"""What a traced program loads at its start: the recorder, and nothing that the program would see.

`start` is called through `_otrace_start` by the start-up file of the installed package
(otrace.pth, otrace.start on CPython 3.15), or by the sitecustomize in `site/`. A start-up line may
run twice in a virtual environment: the second call does nothing.
"""

import os
import sys

_started = False


def start() -> None:
    """Record this process if it was started to be recorded (OTRACE_SESSION is set).

    Raises what stands in the way; the callers pass it on to the supervisor, not to the program.
    """
    global _started
    folder = os.environ.get("OTRACE_SESSION")
    if _started or not folder:
        return
    _started = True
    from otrace import _lib
    from otrace.config import Options

    options = Options.from_environment(os.environ)
    if not options.follow:
        del os.environ["OTRACE_SESSION"]  # children find nothing to follow
    # Last: what this package still did afterwards would be the first thing recorded.
    _lib.start(options, folder, process_name(sys.orig_argv), inherited=False)


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
