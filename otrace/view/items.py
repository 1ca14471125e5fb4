"""What the viewer shows: a trace file, a recording, or those of a folder."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass

from otrace.errors import ViewError
from otrace.session import SEGMENT_SUFFIX, SUFFIX

TRACE_SUFFIXES = (
    ".json",
    ".json.gz",
    ".pftrace",
    ".pftrace.gz",
    ".perfetto-trace",
    ".perfetto-trace.gz",
)
JSON_BEGINNING = 1024  # bytes in which a trace says that it is one
RECORDING_SUFFIXES = (SUFFIX, SEGMENT_SUFFIX)


@dataclass(frozen=True)
class Item:
    """A trace file or a recording. The name is unique among those shown."""

    name: str
    path: str
    is_recording: bool
    size: int
    """Bytes on the disk."""
    changed: float
    """When it was last written, in seconds since the epoch."""


class Library:
    """The items below one path, and the traces that recordings were converted to."""

    def __init__(self, path: str, folder: str, *, with_source: bool = False) -> None:
        """`folder` takes converted traces; `with_source`: they get the text of functions.

        Raises ViewError when there is nothing to show at `path`.
        """
        self._path = os.path.abspath(path)
        self._folder = folder
        self._with_source = with_source
        self._converted: dict[str, str] = {}
        self._lock = threading.Lock()
        self.is_folder = os.path.isdir(path) and not is_recording(path)
        if not self.is_folder and item_at(self._path) is None:
            raise ViewError(f"cannot view {path}: no such file")

    @property
    def title(self) -> str:
        """What is shown, in a word."""
        return os.path.basename(self._path) or self._path

    def items(self) -> list[Item]:
        """What there is now, the newest first."""
        if not self.is_folder:
            item = item_at(self._path)
            return [] if item is None else [item]
        try:
            names = os.listdir(self._path)
        except OSError:
            return []
        paths = (os.path.join(self._path, name) for name in names)
        found = (item_at(path) for path in paths if is_shown(path))
        present = [item for item in found if item is not None]
        return sorted(present, key=lambda item: (-item.changed, item.name))

    def find(self, name: str) -> Item | None:
        """The item of a name. Nothing but the items can be found, whatever the name says."""
        return next((item for item in self.items() if item.name == name), None)

    def trace_of(self, item: Item, *, fresh: bool = False) -> str:
        """The trace file of an item; a recording is converted once, or again if `fresh`.

        Raises OtraceError when it cannot be converted.
        """
        if not item.is_recording:
            return item.path
        with self._lock:
            if fresh or item.name not in self._converted:
                target = os.path.join(self._folder, f"{len(self._converted)}.pftrace")
                target = self._converted.get(item.name, target)
                convert(item.path, target, with_source=self._with_source)
                self._converted[item.name] = target
            return self._converted[item.name]


def convert(path: str, target: str, *, with_source: bool) -> None:
    """Export a recording for the viewer. Raises OtraceError."""
    from otrace.exporting import export
    from otrace.recording import Recording

    plain = f"{target}.plain" if with_source else target
    export(Recording.open(path), plain, exporter="perfetto")
    if with_source:
        from otrace.view.source import add_sources

        add_sources(plain, target)
        os.unlink(plain)


def is_recording(path: str) -> bool:
    """Whether a path is called like a recording, or is a folder with segments."""
    if path.rstrip("/").endswith(RECORDING_SUFFIXES):
        return True
    try:
        return any(name.endswith(SEGMENT_SUFFIX) for name in os.listdir(path))
    except OSError:
        return False


def is_shown(path: str) -> bool:
    """Whether a path in a folder looks like a trace or a recording."""
    name = os.path.basename(path)
    if name.startswith(".") or not name.endswith((*TRACE_SUFFIXES, SUFFIX)):
        return False
    if not name.endswith(".json"):
        return True
    try:
        with open(path, "rb") as file:
            return b'"traceEvents"' in file.read(JSON_BEGINNING)
    except OSError:
        return False


def item_at(path: str) -> Item | None:
    """The item at a path, None when nothing can be read there."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            size = status.st_size
        elif is_recording(path):
            size = sum(entry.stat().st_blocks * 512 for entry in os.scandir(path))
        else:
            return None
    except OSError:
        return None
    name = os.path.basename(path)
    return Item(name, path, is_recording(path), size, status.st_mtime)
