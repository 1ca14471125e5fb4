"""The normal form from a Chrome Trace JSON file, by the times of its rows alone.

Rows of one (pid, tid) are nested by their start and end, as a viewer would; a row that overlaps the
end of the row around it is an error. The order of the rows in the file is not relied upon. Of a
call that was not left by an exception, `exception` is what was thrown into it: not compared.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from .compare import Call, Track

CALL_CATEGORIES = ("python", "c")


@dataclass
class _Slice:
    start: int
    end: int | None  # None: still open
    row: dict[str, Any]


def load(path: Path) -> list[Track]:
    """The tracks in a `.json` or `.json.gz` file, in the order of their first rows."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    document = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    rows = document if isinstance(document, list) else document["traceEvents"]
    names: dict[tuple[int, int], str] = {}
    slices: dict[tuple[int, int], list[_Slice]] = {}
    for row in rows:
        if row["ph"] == "M" and row["name"] == "thread_name":
            names[row["pid"], row["tid"]] = row["args"]["name"]
        elif row["ph"] in ("X", "B") and row["cat"] in CALL_CATEGORIES:
            start = _nanoseconds(row["ts"])
            end = start + _nanoseconds(row["dur"]) if row["ph"] == "X" else None
            slices.setdefault((row["pid"], row["tid"]), []).append(_Slice(start, end, row))
    return [Track(names.get(key), _nested(found)) for key, found in slices.items()]


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


def _nanoseconds(microseconds: int | Decimal) -> int:
    exact = Decimal(microseconds) * 1000
    assert exact == int(exact), f"{microseconds} µs is not a whole number of nanoseconds"
    assert exact >= 0, f"negative time {microseconds}"
    return int(exact)


def _nested(slices: list[_Slice]) -> list[Call]:
    # The sort is stable; among rows of equal start and end the one that ended last in the file's
    # order of completion is the outer one.
    slices.reverse()
    slices.sort(key=lambda s: (s.start, s.end is not None, 0 if s.end is None else -s.end))
    open_: list[_Slice] = []
    calls = []
    for slice_ in slices:
        while open_ and open_[-1].end is not None and open_[-1].end <= slice_.start:
            open_.pop()
        outer = open_[-1] if open_ else None
        if outer is not None and outer.end is not None:
            assert slice_.end is not None, f"open inside an ended call: {slice_.row}"
            assert slice_.end <= outer.end, f"{slice_.row} overlaps the end of {outer.row}"
        calls.append(_call(len(open_), slice_))
        open_.append(slice_)
    return calls


def _call(depth: int, slice_: _Slice) -> Call:
    row = slice_.row
    args = row.get("args", {})
    ended = "open" if slice_.end is None else args.get("ended", "return")
    return Call(
        depth,
        row["name"],
        row["cat"],
        ended,
        args.get("exception") if ended == "unwind" else None,
        args.get("file"),
        args.get("line"),
    )
