"""Finds recordings that nobody has exported: of library users, and of killed supervisors."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from otrace.session import SEGMENT_SUFFIX, SUFFIX, read_manifest

State = Literal["recording", "ended", "abandoned"]


@dataclass(frozen=True)
class Found:
    """A session folder, as it was found."""

    path: str
    program: str
    created_ns: int
    """Wall time, 0 when unknown."""
    processes: int
    bytes: int
    """What it takes on disk."""
    state: State
    """Whether a process records into it, its program has ended, or neither is known to be so."""


def find(folder: str) -> list[Found]:
    """The recordings of this user in a folder, oldest first. Raises OSError."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and is_ours(entry.path):
                found.append(look_at(entry.path))
    return sorted(found, key=lambda one: (one.created_ns, one.path))


def is_ours(path: str) -> bool:
    """Whether it is a folder, not a link, that belongs to this user."""
    with suppress(OSError):
        status = os.lstat(path)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return False


def look_at(path: str) -> Found:
    """Describe one session folder; what cannot be read counts as absent."""
    manifest = read_manifest(path)
    pids: set[int] = set()
    used = processes = 0
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            with suppress(OSError, ValueError):
                used += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.name.endswith(SEGMENT_SUFFIX):
                    processes += 1
                    pids.add(int(entry.name.partition("-")[0]))
    state: State = "abandoned"
    if any(maps_folder(pid, path) for pid in pids):
        state = "recording"
    elif "exit" in manifest:
        state = "ended"
    created = manifest.get("created_ns")
    return Found(
        path=path,
        program=str(manifest.get("program", "?")),
        created_ns=created if isinstance(created, int) else 0,
        processes=processes,
        bytes=used,
        state=state,
    )


def maps_folder(pid: int, path: str) -> bool:
    """Whether a living process has a file of the folder in memory."""
    needle = os.fsencode(os.path.realpath(path)) + b"/"
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return any(needle in line for line in file)
    except OSError:
        return False
