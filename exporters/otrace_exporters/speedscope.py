"""Speedscope's own format (`.speedscope.json`): every call in its order, a profile a thread."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExportResult, Progress, open_output
from otrace.output import OutputFile
from otrace_exporters.files import FileExporter, needed
from otrace_exporters.profiles import plain

if TYPE_CHECKING:
    from otrace.recording import Function, Process, Recording

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
BYTES_A_CALL = 75  # for the progress bar alone


class SpeedscopeExporter(FileExporter):
    """Writes opens and closes as the native encoder makes them."""

    name = "speedscope"
    suffixes = (".speedscope.json", ".speedscope.json.gz")

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        with open_output(needed(target)) as output:
            head = {"$schema": SCHEMA, "exporter": "otrace", "name": title_of(recording)}
            output.write(encode(head)[:-1] + b',\n"shared":{"frames":[\n')
            frames = write_frames(output, recording)
            output.write(b'\n]},\n"profiles":[')
            calls = write_profiles(output, recording, frames, progress)
            output.write(b"\n]}\n")
        return ExportResult(target, calls, output.written)


def encode(value: object) -> bytes:
    """JSON in ASCII: lone surrogates become text before."""
    return json.dumps(value, separators=(",", ":")).encode()


def title_of(recording: Recording) -> str:
    """What the page shows above the profile."""
    return plain(str((recording.manifest or {}).get("program") or recording.path))


def frame_of(function: Function) -> dict[str, object]:
    """A function as speedscope wants it."""
    frame: dict[str, object] = {"name": plain(function.name)}
    if function.file:
        frame.update(file=plain(function.file), line=function.line)
    return frame


def write_frames(output: OutputFile, recording: Recording) -> Mapping[Process, array[int]]:
    """Writes the functions of all processes; returns the frame of each one's name ids.

    What looks the same is one frame, as it is one function in `otrace stats`: the page would show
    the lines of two `.pth` files, each `<module>` of `<string>`, as two rows of one name.
    """
    frames: dict[Process, array[int]] = {}
    known: dict[bytes, int] = {}
    for process in recording.processes:
        functions = (encode(frame_of(function)) for function in process.functions)
        frames[process] = array("I", (known.setdefault(frame, len(known)) for frame in functions))
    output.write(b",\n".join(known))
    return frames


def write_profiles(
    output: OutputFile,
    recording: Recording,
    frames: Mapping[Process, array[int]],
    progress: Progress | None,
) -> int:
    """Writes a profile for each thread that has calls; returns the number of calls."""
    from otrace.encoding import SpeedscopeEvents

    tracks = [track for process in recording.processes for track in process.tracks]
    used = [track for track in tracks if track.summary().first_ns is not None]
    expected = max(sum(track.summary().calls for track in used) * BYTES_A_CALL, 1)
    calls = encoded = 0
    for number, track in enumerate(used):
        process = track.process
        name = f"{plain(process.name)} ({process.pid}) / {plain(track.name)}"
        head = {"type": "evented", "name": name, "unit": "nanoseconds", "startValue": 0}
        separator = b",\n" if number else b"\n"
        output.write(separator + encode(head)[:-1] + b',"events":[\n')
        events = SpeedscopeEvents(track, frames[process])
        for block in counted(events.blocks(), encoded, expected, progress):
            output.write(block)
            encoded += len(block)
        output.write(b'\n],"endValue":%d}' % events.end_ns)
        calls += events.calls
    return calls


def counted(
    blocks: Iterator[memoryview], before: int, expected: int, progress: Progress | None
) -> Iterator[memoryview]:
    """The same blocks; progress hears of each."""
    for block in blocks:
        before += len(block)
        if progress is not None:
            progress(before / expected)
        yield block
