"""Comparing what the product shows with what the reference tracer saw.

Both sides are brought into one normal form, a list of `Track`s whose calls are in order of start.
`load_reference` reads the reference's file; `from_chrome`, `from_perfetto` and `from_otlp` read the
product's outputs. `assert_same` compares names, kinds, nesting, ends and exceptions call by call.
What may differ, and why, is in `slack.py`; nothing else may.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

PROGRAM = "__main__.<module>"
FIELDS = ("depth", "name", "kind", "ended", "exception", "file", "line")
CONTEXT = 6


@dataclass(frozen=True)
class Call:
    """One call: `ended` is "return", "yield", "unwind" or "open"; kind "python" or "c"."""

    depth: int
    name: str
    kind: str
    ended: str = "return"
    exception: str | None = None
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        mark = "" if self.ended == "return" else f"  [{self.ended} {self.exception or ''}".rstrip()
        place = f"  {self.file}:{self.line}" if self.file else ""
        return f"{'  ' * self.depth}{self.name} ({self.kind}){mark}{']' if mark else ''}{place}"


@dataclass
class Track:
    """The calls of one thread in order of start (pre-order), `depth` 0 for the outermost."""

    name: str | None
    calls: list[Call] = field(default_factory=list)


def load_reference(path: Path) -> list[Track]:
    """The tracks in a file that reference.py wrote, the main thread first."""
    document = json.loads(path.read_text(encoding="ascii"))
    tracks = []
    for thread in document["threads"]:
        track = Track(thread["name"])
        for depth, function, ended, exception in thread["calls"]:
            name, kind, file, line = document["functions"][function]
            track.calls.append(Call(depth, name, kind, ended, exception, file, line))
        tracks.append(track)
    return tracks


def subtree(calls: Sequence[Call], start: int) -> list[Call]:
    """The call at `start` and all below it, with depths counted from it."""
    base = calls[start].depth
    result = [replace(calls[start], depth=0)]
    for call in calls[start + 1 :]:
        if call.depth <= base:
            break
        result.append(replace(call, depth=call.depth - base))
    return result


def program_track(tracks: Sequence[Track]) -> Track:
    """The track that ran the program, from its `<module>` down."""
    for track in tracks:
        for index, call in enumerate(track.calls):
            if call.name == PROGRAM and call.kind == "python":
                return Track(track.name, subtree(track.calls, index))
    names = [track.name for track in tracks]
    raise AssertionError(f"no call of {PROGRAM} in any track (tracks: {names})")


def in_order(tracks: Iterable[Track]) -> list[Track]:
    """The tracks with calls on them, in an order that does not depend on when they started."""
    return sorted(
        (track for track in tracks if track.calls),
        key=lambda track: (track.name or "", list(map(str, track.calls))),
    )


def assert_same(
    reference: Sequence[Track],
    product: Sequence[Track],
    *,
    imports: Collection[str] = (),
    fields: Collection[str] = FIELDS,
) -> None:
    """Raise AssertionError with the first difference between the truth and the product's tracks.

    `imports`: modules whose bodies are compared too. `fields`: what to compare of a call.
    """
    from . import slack

    expected, shown = (
        [
            slack.comparable(program_track(tracks), imports),
            *in_order(
                slack.comparable(slack.thread_body(track), imports)
                for track in tracks
                if not any(call.name == PROGRAM for call in track.calls)
            ),
        ]
        for tracks in (reference, product)
    )
    for truth, track in zip(expected, shown, strict=False):
        assert truth.name == track.name, _names(expected, shown)
        difference = first_difference(truth.calls, track.calls, fields)
        assert difference is None, f"thread {truth.name!r}: {difference}"
    assert len(expected) == len(shown), _names(expected, shown)


def _names(expected: Sequence[Track], shown: Sequence[Track]) -> str:
    truth, product = ([track.name for track in tracks] for tracks in (expected, shown))
    return f"the threads differ: truth {truth}, product {product}"


def first_difference(
    truth: Sequence[Call], product: Sequence[Call], fields: Collection[str] = FIELDS
) -> str | None:
    """None when equal; else where the two part, with the calls around, and the counts by name."""

    from . import slack

    def agree(expected: Call, shown: Call) -> bool:
        return all(
            slack.same(getattr(expected, name), getattr(shown, name), name, expected.kind)
            for name in fields
        )

    index = 0
    for expected, shown in zip(truth, product, strict=False):
        if not agree(expected, shown):
            break
        index += 1
    if index == len(truth) == len(product):
        return None
    return "\n".join(
        [
            f"calls differ from number {index} on ({len(truth)} in truth, {len(product)} shown)",
            "  before:",
            *(f"      {call}" for call in truth[max(0, index - CONTEXT) : index]),
            "  truth:",
            *(f"    + {call}" for call in truth[index : index + CONTEXT]),
            "  product:",
            *(f"    - {call}" for call in product[index : index + CONTEXT]),
            "  counts that differ:",
            *_count_differences(truth, product),
        ]
    )


def _count_differences(truth: Sequence[Call], product: Sequence[Call]) -> list[str]:
    expected, shown = (Counter((c.name, c.kind) for c in calls) for calls in (truth, product))
    differences = [
        f"      {name} ({kind}): truth {expected[name, kind]}, product {shown[name, kind]}"
        for name, kind in sorted(expected | shown)
        if expected[name, kind] != shown[name, kind]
    ]
    return differences[:20] or ["      none"]
