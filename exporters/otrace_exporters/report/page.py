"""The report's page from a recording and its profile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from otrace_exporters.flamegraph import page as flame_page
from otrace_exporters.flamegraph.document import document, escape, fill, read, unbroken
from otrace_exporters.flamegraph.facts import meta_of, notes_of, title_of
from otrace_exporters.flamegraph.trees import FunctionTable, narrow, trees_of, used_only
from otrace_exporters.report import sections
from otrace_exporters.report.counters import counters_of, plots

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
MOST_FRAMES = 100_000  # the report is for sending: smaller than the flamegraph alone


def report(recording: Recording, profile: Profile, *, editor: str) -> bytes:
    """The page as a file's content."""
    from otrace import __version__

    table = FunctionTable()
    trees = trees_of(profile, table)
    left_out = narrow(trees, table, MOST_FRAMES)
    functions = used_only(trees, table)
    counters = counters_of(recording)
    title = title_of(recording)
    body = fill(
        read("report.html", FOLDER),
        title=escape(title),
        meta=unbroken(meta_of(recording, profile)),
        tiles=sections.tiles(recording, profile),
        functions=sections.functions(profile),
        slowest=sections.slowest(profile),
        exceptions=sections.exceptions(profile),
        counters=plots(counters, recording.duration_ns)
        or '<p class="quiet">The program logged no counters.</p>',
        timeline=sections.timeline(recording),
        losses=sections.losses(recording, notes_of(recording, profile)),
        legend=flame_page.legend_of(functions, compared=False),
        narrowed=f"The {left_out:,} narrowest call paths are added up." if left_out else "",
        version=escape(__version__),
        settings=read("settings.html"),
    )
    return document(
        f"{title} - report",
        body,
        styles=[read("base.css"), read("flame.css"), read("report.css", FOLDER)],
        scripts=[
            *(read(name) for name in flame_page.SHARED_SCRIPTS),
            read("report.js", FOLDER),
        ],
        data={"page": flame_page.data_of(title, trees, functions, editor)},
        packed={"trees": b"".join(tree.packed() for tree in trees)},
    )
