"""Chrome Trace JSON (`.json`, `.json.gz`): for Perfetto's UI, chrome://tracing and many others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExporterOption, ExportResult, Progress, open_output
from otrace_exporters.arrows import Arrow, Shown, arrows
from otrace_exporters.files import JAEGER_OPTION, FileExporter, link_of, needed
from otrace_exporters.loop_lag import chrome_row, lags_of
from otrace_exporters.numbers import Numbers, estimate_calls

if TYPE_CHECKING:
    from otrace.recording import Process, Recording, Track

JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
BASE_NS = 1000  # what ts says at the start
FIRST_SPAN_TID = 20_000_000  # above what Numbers invents
BYTES_A_CALL = 135  # for the progress bar alone

TASKS_OPTION = ExporterOption("tasks", bool, True, "Tasks of event loops beside the threads.")


class ChromeExporter(FileExporter):
    """Writes rows as the native encoder makes them, with names before and losses after."""

    name = "chrome"
    suffixes = (".json", ".json.gz")
    options = (TASKS_OPTION, JAEGER_OPTION)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        from otrace.encoding import chrome_blocks
        from otrace.encoding_spans import chrome_span_blocks
        from otrace.encoding_tasks import chrome_task_blocks

        rows, tracks = describe(recording)
        expected = estimate_calls(recording) * BYTES_A_CALL
        encoded = calls = 0
        shown: list[Shown[tuple[int, int]]] = []
        with open_output(needed(target)) as output:
            output.write(b'{"traceEvents":[\n')
            for row in rows[1:]:
                output.write(row + b",\n")
            for track, pid, tid in tracks:
                blocks = chrome_blocks(track, pid=pid, tid=tid)
                for block in blocks:
                    output.write(block)
                    encoded += len(block)
                    if progress is not None:
                        progress(encoded / expected)
                calls += blocks.calls
                shown.append(Shown(track, (pid, tid), blocks.first_ns))
            for process, pid, tid in main_threads(tracks) if options["tasks"] else ():
                for block in chrome_task_blocks(process, pid=pid, tid=tid):
                    output.write(block)
            span_tid = FIRST_SPAN_TID
            for process, pid, _ in main_threads(tracks):
                lanes, span_blocks = chrome_span_blocks(
                    process, pid=pid, first_tid=span_tid, link=link_of(options)
                )
                span_tid += lanes
                for block in span_blocks:
                    output.write(block)
            for row in lag_rows(recording, shown):
                output.write(row + b",\n")
            for arrow in arrows(recording, shown):
                for row in flow_rows(arrow):
                    output.write(row + b",\n")
            output.write(rows[0])  # the one row without a comma behind it
            output.write(b'\n],\n"displayTimeUnit":"ns",\n"otherData":')
            output.write(encode(other_data(recording)) + b"}\n")
        return ExportResult(target, calls, output.written)


def describe(recording: Recording) -> tuple[list[bytes], list[tuple[Track, int, int]]]:
    """(metadata rows, (track, pid, tid) of each track)."""
    rows: list[bytes] = []
    tracks: list[tuple[Track, int, int]] = []
    pids, tids = Numbers(), Numbers()
    for position, process in enumerate(recording.processes):
        pid = pids.take(process.pid)
        rows.append(metadata("process_sort_index", pid, 0, {"sort_index": position}))
        rows.append(metadata("process_name", pid, 0, {"name": process.name}))
        for track in process.tracks:
            tid = tids.take(track.os_tid)
            tracks.append((track, pid, tid))
            rows.append(metadata("thread_name", pid, tid, {"name": track.name}))
    return rows, tracks


def main_threads(tracks: list[tuple[Track, int, int]]) -> Iterator[tuple[Process, int, int]]:
    """(process, pid, tid) of each process's first thread."""
    seen: set[int] = set()
    for track, pid, tid in tracks:
        if pid not in seen:
            seen.add(pid)
            yield track.process, pid, tid


def metadata(name: str, pid: int, tid: int, args: Mapping[str, object]) -> bytes:
    """A metadata row."""
    return encode({"ph": "M", "pid": pid, "tid": tid, "name": name, "args": args})


def lag_rows(recording: Recording, tracks: list[Shown[tuple[int, int]]]) -> Iterator[bytes]:
    """Blocked event loops, if they are to be shown."""
    places = {id(shown.track): shown.place for shown in tracks}
    for process in recording.processes:
        for item in lags_of(process, recording):
            pid, tid = places[id(item.track)]
            yield encode(chrome_row(item, pid, tid, (item.time_ns + BASE_NS) / 1000))


def flow_rows(arrow: Arrow[tuple[int, int]]) -> Iterator[bytes]:
    """An arrow's two rows, each at the slice that is open on its thread at its time."""
    common = {"name": "start", "cat": "process", "id": arrow.id}
    for phase, (pid, tid), time_ns, bind in (
        ("s", arrow.start, arrow.start_ns, {}),
        ("f", arrow.end, arrow.end_ns, {"bp": "e"}),
    ):
        ts = (time_ns + BASE_NS) / 1000
        yield encode({"ph": phase, "pid": pid, "tid": tid, "ts": ts, **common, **bind})


def encode(value: object) -> bytes:
    """JSON as the rows have it: plain UTF-8, lone surrogates as visible text.

    Perfetto's UI takes the quote after a string's last backslash for an escaped one: such a
    backslash is written as a number.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = JSON_STRING.sub(last_backslash_as_number, text)
    return LONE_SURROGATE.sub(lambda found: rf"\\u{ord(found[0]):04x}", text).encode()


def last_backslash_as_number(found: re.Match[str]) -> str:
    """The same string in JSON, without a backslash pair before the closing quote."""
    token = found[0]
    return token[:-3] + r"\u005c" + '"' if token.endswith('\\\\"') else token


def other_data(recording: Recording) -> dict[str, object]:
    """What the file says about itself."""
    from otrace import __version__

    manifest = recording.manifest or {}
    return {
        "otrace": {
            "version": __version__,
            "program": manifest.get("program"),
            "exit": manifest.get("exit"),
            "start_wall_ns": recording.start_wall_ns,
            "base_ns": BASE_NS,
            "lost_calls": sum(process.losses.calls for process in recording.processes),
            "warnings": recording.warnings,
            "processes": list(losses_by_process(recording)),
        }
    }


def losses_by_process(recording: Recording) -> Iterator[dict[str, object]]:
    """What each process lost."""
    for process in recording.processes:
        yield {
            "pid": process.pid,
            "name": process.name,
            "python": process.python_version,
            "state": process.state,
            "lost_calls": process.losses.calls,
            "lost_records": process.losses.records,
            "no_space": process.losses.dropped_no_space,
            "too_big": process.losses.dropped_too_big,
        }
