"""The flamegraph's page from trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otrace_exporters.flamegraph.document import document, escape, fill, read, unbroken
from otrace_exporters.flamegraph.facts import meta_of, notes_of, title_of
from otrace_exporters.flamegraph.trees import (
    EVENT,
    LIBRARY,
    MOST_FRAMES,
    STDLIB,
    C,
    Columns,
    FunctionTable,
    narrow,
    trees_of,
    used_only,
)

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording

LEGEND = (
    ("own", 0, "program"),
    ("library", LIBRARY, "packages"),
    ("stdlib", STDLIB, "standard library"),
    ("c", C, "C"),
    ("event", EVENT, "events"),
)
COMPARE = (
    '<span class="group" role="group" aria-label="Widths">'
    '<button type="button" id="after" aria-pressed="true">After</button>'
    '<button type="button" id="before" aria-pressed="false">Before</button></span>'
)
STYLES = ("base.css", "flame.css", "flamegraph.css")
SHARED_SCRIPTS = ("shared.js", "model.js", "names.js", "flame.js")
SCRIPTS = (*SHARED_SCRIPTS, "flamegraph.js")


@dataclass(frozen=True)
class Words:
    """What a page says about its recording."""

    title: str
    meta: Sequence[str]
    """The parts of a line below the title."""
    notes: Sequence[str] = ()
    """What is missing, a line each."""


def page_of(
    recording: Recording,
    profile: Profile,
    *,
    title: str | None = None,
    editor: str = "vscode",
    most: int = MOST_FRAMES,
) -> bytes:
    """The page of a recording, with at most about `most` call paths."""
    table = FunctionTable()
    trees = trees_of(profile, table)
    notes = notes_of(recording, profile)
    left_out = narrow(trees, table, most)
    if left_out:
        notes.append(f"The {left_out:,} narrowest call paths are added up.")
    words = Words(title or title_of(recording), meta_of(recording, profile), notes)
    return flamegraph(words, trees, used_only(trees, table), editor=editor)


def flamegraph(
    words: Words, trees: Sequence[Columns], functions: FunctionTable, *, editor: str = "vscode"
) -> bytes:
    """The page as a file's content. With times of another recording it is red and blue."""
    compared = any(tree.self_before for tree in trees)
    body = fill(
        read("flamegraph.html"),
        title=escape(words.title),
        meta=unbroken(words.meta),
        notes=note_lines(words.notes),
        compare=COMPARE if compared else "",
        legend=legend_of(functions, compared=compared),
        columns=columns_of(compared=compared),
        settings=read("settings.html"),
    )
    return document(
        f"{words.title} - flamegraph",
        body,
        styles=[read(name) for name in STYLES],
        scripts=[read(name) for name in SCRIPTS],
        data={"page": data_of(words.title, trees, functions, editor)},
        packed={"trees": b"".join(tree.packed() for tree in trees)},
    )


def data_of(
    title: str, trees: Sequence[Columns], functions: FunctionTable, editor: str
) -> dict[str, object]:
    """What the page's scripts know of the trees before they unpack them."""
    return {
        "root": title,
        "editor": editor,
        "compared": any(tree.self_before for tree in trees),
        "tracks": [
            {
                "process": tree.process,
                "name": tree.name,
                "tasks": tree.tasks,
                "rows": len(tree),
            }
            for tree in trees
        ],
        "functions": functions.as_data(),
    }


def note_lines(notes: Iterable[str]) -> str:
    """What is missing, as HTML; nothing when nothing is."""
    lines = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f'<section class="notes" aria-label="Notes">{lines}</section>' if lines else ""


def legend_of(functions: FunctionTable, *, compared: bool) -> str:
    """What the colours mean: those that occur."""
    if compared:
        entries = [("slower", "slower"), ("same", "as before"), ("faster", "faster")]
    else:
        groups = {key.group for key in functions.keys}
        entries = [(name, label) for name, group, label in LEGEND if group in groups]
    spans = "".join(f'<span class="{name}">{label}</span>' for name, label in entries)
    return f'<div class="legend" aria-label="Colours">{spans}</div>'


def columns_of(*, compared: bool) -> str:
    """The heads of the list of functions."""
    heads = [("name", "Function", "")]
    if compared:
        heads += [("change", "Change", "number"), ("self", "Self", "number")]
    else:
        heads += [("self", "Self", "number"), ("total", "Total", "number")]
    heads.append(("calls", "Calls", "number"))
    return "".join(
        f'<th scope="col" data-sort="{key}" class="{kind}">'
        f'<button type="button">{label}</button></th>'
        for key, label, kind in heads
    )
