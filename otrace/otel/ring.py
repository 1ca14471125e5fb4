"""The recording that is always on: a ring in memory, one segment for each process.

Joins a recording that runs already (`otrace run`, `otrace.start`). Forked children get segments of
their own; each process removes its own at its exit, the last one the folder. What a killed process
leaves behind is removed when the next one starts, but for the newest, which `otrace recover` finds.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from otrace import _lib, abandoned, config_sources, session
from otrace.bootstrap import process_name
from otrace.config import Options
from otrace.errors import OtraceError
from otrace.session import Session

SHARED_MEMORY = "/dev/shm"
DEFAULTS = {"OTRACE_BUFFER_SIZE": "64MiB", "OTRACE_C_CALLS": "0"}
PLUMBING = ("opentelemetry", "contextlib", "abc", "typing")
"""Never shown: the instrumentation itself, and what it is made of."""
MARK = "flight_recorder"

_lock = threading.Lock()
_session: Session | None = None


def start(options: Mapping[str, object]) -> bool:
    """Record this process from now on, unless it is recorded already. True: it was started here.

    `options` are those of `otrace.start`. Raises OtraceError.
    """
    global _session
    with _lock:
        if _lib.Status().recording:
            return False
        asked = config_sources.resolve(options, defaults=DEFAULTS)
        resolved = Options(**{**asked.as_dict(), "exclude": (*asked.exclude, *PLUMBING)})
        folder = resolved.session_dir or _folder(resolved.buffer_size)
        _sweep(folder)
        name = process_name(sys.orig_argv)
        _session = Session.create(name, resolved, folder=folder)
        try:
            _session.manifest[MARK] = True
            _session.write_manifest()
            _lib.start(resolved, _session.path, name, inherited=True)
        except OtraceError:
            _session.remove()
            _session = None
            raise
        atexit.register(_at_exit)
        return True


def stop() -> None:
    """Stop what `start` started, and remove it."""
    global _session
    with _lock:
        if _session is None:
            return
        own = _lib.Status().path
        with suppress(OtraceError):
            _lib.stop()
        _clean(_session, own)
        _session = None


def segment() -> str | None:
    """The path of this process's segment; None when it is not recorded."""
    status = _lib.Status()
    return status.path if status.recording else None


def _at_exit() -> None:
    stop()


def _folder(size: int) -> str:
    """In memory where it has room: a page of a disk file can stall the one who writes it."""
    with suppress(OSError):
        room = os.statvfs(SHARED_MEMORY)
        if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) and room.f_bavail * room.f_frsize > 2 * size:
            return SHARED_MEMORY
    return session.temporary_folder()


def _clean(ours: Session, own: str) -> None:
    """Remove this process's segment and those of processes that are no more."""
    with suppress(OSError):
        left = 0
        for name in os.listdir(ours.path):
            if not name.endswith(session.SEGMENT_SUFFIX):
                continue
            path = os.path.join(ours.path, name)
            pid = int(name.partition("-")[0])
            if path == own or not abandoned.maps_folder(pid, ours.path):
                with suppress(OSError):
                    os.unlink(path)
            else:
                left += 1
        if left == 0:
            ours.remove()


def _sweep(folder: str) -> None:
    with suppress(OSError):
        dead = [
            found.path
            for found in abandoned.find(folder)
            if found.state == "abandoned" and session.read_manifest(found.path).get(MARK)
        ]
        for path in dead[:-1]:
            session.remove_tree(path)
