"""Opening a recording: its segments, one clock for all, and what is missing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from otrace.errors import RecordingError
from otrace.recording._lib import check, ffi, lib, open_segment
from otrace.recording.process import Process

_SEGMENT = re.compile(r"[0-9]+-[0-9]+\.segment")
_MANIFEST = "manifest.json"
_MANIFEST_LARGEST = 1 << 20
_ERRNO_MOST = 4095  # a damaged header may hold any number


class Recording:
    """All that was recorded of a program and its children."""

    def __init__(
        self,
        path: str,
        processes: list[Process],
        manifest: Mapping[str, object] | None,
        problems: list[str],
    ) -> None:
        """Recording.open is the way to make one."""
        self.path = path
        self.manifest = manifest
        """What the supervisor noted about the run; None when there is none."""
        self._problems = problems
        first = min(processes, key=lambda process: process.start_mono_ns)
        self.start_mono_ns = first.start_mono_ns
        """All times are nanoseconds after this, on CLOCK_MONOTONIC."""
        self.start_wall_ns = first.start_wall_ns
        """The same moment in nanoseconds since the epoch."""
        self.processes = sorted(processes, key=lambda process: (process.start_mono_ns, process.pid))
        self._clocks = _fit_clocks(self.processes, self.start_mono_ns)
        for process in self.processes:
            process._clock = self._clocks[process.clock]
            process.start_ns = process.start_mono_ns - self.start_mono_ns
            if process.end_mono_ns is not None:
                process.end_ns = process.end_mono_ns - self.start_mono_ns

    def __repr__(self) -> str:
        return f"<Recording {self.path!r}, {len(self.processes)} processes>"

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Recording:
        """Open a session folder or one .segment file.

        What cannot be read is left out and told in `warnings`. Raises RecordingError when nothing
        can be read.
        """
        path = os.fspath(path)
        if not os.path.isdir(path):
            return cls(path, [Process(open_segment(path), path)], None, [])
        names = _list(path)
        manifest, problems = _read_manifest(path, names)
        processes: list[Process] = []
        for name in sorted(filter(_SEGMENT.fullmatch, names)):
            segment_path = os.path.join(path, name)
            try:
                processes.append(Process(open_segment(segment_path), segment_path))
            except RecordingError as error:
                problems.append(str(error))
        if processes:
            return cls(path, processes, manifest, problems)
        if problems:
            raise RecordingError(f"{path} holds nothing that can be read: {'; '.join(problems)}")
        raise RecordingError(
            f"{path} is no recording: there is no segment in it. Name the folder that otrace made."
        )

    @property
    def warnings(self) -> list[str]:
        """What is missing or odd, a line each, found so far: reading tracks may add to it."""
        lines = list(self._problems)
        for process in self.processes:
            lines += [f"process {process.pid}: {words}" for words in process.warnings]
            if process.stop_errno:
                why = os.strerror(min(process.stop_errno, _ERRNO_MOST))
                lines.append(f"process {process.pid}: its recording ended early: {why}")
        return lines + self._recorded_warnings()

    def _recorded_warnings(self) -> list[str]:
        """What recorders left for the user; what is the same for several processes once."""
        by_text: dict[str, list[int]] = {}
        for process in self.processes:
            if text := process.notes.get("warning"):
                by_text.setdefault(text, []).append(process.pid)
        return [
            f"process {pids[0]}: {text}" if len(pids) == 1 else f"{len(pids)} processes: {text}"
            for text, pids in by_text.items()
        ]

    @cached_property
    def end_mono_ns(self) -> int:
        """The last moment that anything was recorded (a pass over tracks of killed processes)."""
        ends = [self.start_mono_ns]
        for process in self.processes:
            if process.end_mono_ns is not None:
                ends.append(process.end_mono_ns)
                continue
            last = (track.summary().last_ns for track in process.tracks)
            ends += [self.start_mono_ns + ns for ns in last if ns is not None]
        return max(ends)

    @property
    def duration_ns(self) -> int:
        """From the start to the last moment that anything was recorded."""
        return self.end_mono_ns - self.start_mono_ns

    def dump(self) -> Iterator[bytes]:
        """The raw records of all processes as text, in blocks; see Process.dump."""
        for process in self.processes:
            yield f"# process {process.pid}: {process.path}\n".encode(errors="backslashreplace")
            yield from process.dump()


def _fit_clocks(processes: list[Process], base_mono_ns: int) -> dict[str, Any]:
    """One clock for all segments of a kind: counters count the same for all processes."""
    clocks: dict[str, Any] = {}
    out = ffi.new("struct otrace_clock **")
    for process in processes:
        if process.clock not in clocks:
            kind = process._info().clock_kind
            check(lib.otrace_clock_new(kind, out), "the clock")
            clocks[process.clock] = ffi.gc(out[0], lib.otrace_clock_free)
        check(lib.otrace_clock_add(clocks[process.clock], process._segment), "the clock")
    # A process that ended in order has anchors at both its ends: it reads the same each time.
    unended = {process.clock for process in processes if process.state != "ended"}
    for name, clock in clocks.items():
        if name in unended:
            check(lib.otrace_clock_add_here(clock), "the clock")
        check(lib.otrace_clock_fit(clock, base_mono_ns), "the clock")
    return clocks


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from None


def _read_manifest(path: str, names: list[str]) -> tuple[Mapping[str, object] | None, list[str]]:
    if _MANIFEST not in names:
        return None, []
    file = os.path.join(path, _MANIFEST)
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as stream:
            manifest = json.loads(stream.read(_MANIFEST_LARGEST))
    except OSError as error:
        return None, [f"cannot read {file}: {error.strerror}"]
    except (ValueError, RecursionError):
        return None, [f"cannot read {file}: it is damaged"]
    if not isinstance(manifest, dict):
        return None, [f"cannot read {file}: it is damaged"]
    return manifest, []
