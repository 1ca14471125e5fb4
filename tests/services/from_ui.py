"""The normal form of the oracle from a trace that is open in Perfetto's UI, by SQL alone."""

from __future__ import annotations

from typing import Any

from oracle.compare import Call, Track
from perfetto_ui import LoadedTrace

CALLS = """
    select s.track_id, s.ts, s.dur, s.depth, s.name, s.category, s.arg_set_id, t.name as thread
    from slice s join thread_track k on s.track_id = k.id join thread t using (utid)
    where s.category in ('python', 'c')
    order by s.track_id, s.ts, s.depth
"""
ARGUMENTS = """
    select arg_set_id, key, coalesce(string_value, int_value) as value from args
    where arg_set_id in (select arg_set_id from slice where category in ('python', 'c'))
"""
# Chrome's `args.*`, Perfetto's annotations and source locations.
KEYS = {
    "args.ended": "ended",
    "args.exception": "exception",
    "args.file": "file",
    "args.line": "line",
    "debug.ended": "ended",
    "debug.exception": "exception",
    "source.file_name": "file",
    "source.line_number": "line",
}


def load(trace: LoadedTrace) -> list[Track]:
    """The thread tracks with calls on them; depth and nesting are the UI's own."""
    arguments: dict[int, dict[str, Any]] = {}
    for row in trace.query(ARGUMENTS):
        if row["key"] in KEYS:
            arguments.setdefault(row["arg_set_id"], {})[KEYS[row["key"]]] = row["value"]
    tracks: dict[int, Track] = {}
    for row in trace.query(CALLS):
        told = arguments.get(row["arg_set_id"], {})
        ended = "open" if row["dur"] < 0 else told.get("ended", "return")
        track = tracks.setdefault(row["track_id"], Track(row["thread"]))
        track.calls.append(
            Call(
                row["depth"],
                row["name"],
                row["category"],
                ended,
                told.get("exception") if ended == "unwind" else None,
                told.get("file"),
                told.get("line"),
            )
        )
    return list(tracks.values())
