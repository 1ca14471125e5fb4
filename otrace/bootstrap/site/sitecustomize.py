"""Starts otrace where the interpreter lacks its start-up file, then runs the next sitecustomize.

On the path only when `otrace run` put this folder first in PYTHONPATH.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _run_next() -> None:
    """Import the sitecustomize that this one hides, as the program would have had it."""
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != _here]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if own is not None:
            sys.modules["sitecustomize"] = own


def _start() -> None:
    """As the start-up file does it; otrace itself may not be there to import."""
    sys.path.insert(0, os.path.dirname(_here))
    try:
        from _otrace_start import start
    except ImportError:
        return
    finally:
        del sys.path[0]
    start()


_start()
_run_next()
