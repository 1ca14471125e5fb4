"""`otrace tree`: the call tree with time, small things folded; and the slowest single calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from otrace.cli import layout
from otrace.cli.words import count as counted
from otrace.cli.words import duration
from otrace.errors import UsageError

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording, Track

EPILOG = """\b
Examples:
  otrace tree app.otrace
  otrace tree app.otrace --min-percent 0.1 --all --thread MainThread
  otrace tree app.otrace --slowest 10
"""


@click.command(epilog=EPILOG)
@click.argument("path", metavar="RECORDING", type=click.Path())
@click.option(
    "--min-percent",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="Fold calls that took less of their thread's time.",
)
@click.option("--thread", "threads", multiple=True, metavar="NAME|ID", help="Only this thread.")
@click.option("--all", "everything", is_flag=True, help="Show the frames inside libraries, too.")
@click.option(
    "--slowest",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Show the N slowest single calls with the calls around them.",
)
def command(
    path: str,
    min_percent: float,
    threads: tuple[str, ...],
    everything: bool,
    slowest: int | None,
) -> None:
    """Show the calls of RECORDING as a tree, with their time: a tree for each thread."""
    from otrace.cli.profiling import count, warn
    from otrace.recording import Recording

    recording = Recording.open(path)
    tracks = tracks_named(recording, threads) if threads else None
    profile = count(recording, roots="thread", slowest=slowest or 0, tracks=tracks)
    if slowest is not None:
        lines = slow_lines(profile)
    else:
        lines = tree_lines(profile, min_percent / 100, everything=everything)
    for line in lines:
        click.echo(line)
    warn(profile)


def tracks_named(recording: Recording, names: tuple[str, ...]) -> list[Track]:
    """The threads of these names or system's ids. Raises UsageError when there is none."""
    tracks = [track for process in recording.processes for track in process.tracks]
    found = [track for track in tracks if track.name in names or str(track.os_tid) in names]
    if not found:
        known = ", ".join(sorted({layout.printable(track.name) for track in tracks})) or "none"
        raise UsageError(f"no thread is called {' or '.join(names)}; there are: {known}")
    return found


def tree_lines(
    profile: Profile, least: float, *, everything: bool, width: int | None = None
) -> Iterator[str]:
    """A tree for each thread with calls."""
    from otrace.profile.view import TreeView

    width = width or layout.columns()
    colours = layout.coloured()
    tree = profile.tree
    shown = [root for root in profile.roots if tree.runs[root.node]]
    if not shown:
        yield "no calls"
    for root in shown:
        whole = tree.total_ns[root.node]
        title = f"{layout.printable(root.label)}: {duration(whole)}, "
        title += counted(tree.calls[root.node], "call")
        yield layout.paint(layout.shorten(title, width), layout.BOLD, colours)
        view = TreeView(profile, root.node, least, group_libraries=not everything)
        for line in view.lines():
            share = line.total_ns / whole if whole else 0.0
            colour = layout.RED if share >= 0.5 else layout.YELLOW if share >= 0.1 else ""
            text = line.prefix
            if line.folded:
                text += layout.paint(
                    f"… {duration(line.total_ns)} {line.name}", layout.DIM, colours
                )
                yield text
                continue
            numbers = f"{duration(line.total_ns)} {layout.percent(line.total_ns, whole)}"
            tail = f"  x{line.calls:,}" if line.calls != 1 else ""
            room = max(width - len(text) - len(numbers) - len(tail) - 1, layout.NAME_AT_LEAST)
            name = layout.shorten(layout.printable(line.name), room)
            yield f"{text}{layout.paint(numbers, colour, colours)} {name}{tail}"


def slow_lines(profile: Profile) -> Iterator[str]:
    """The slowest single calls, each with the calls around it."""
    tree, functions = profile.tree, profile.functions
    colours = layout.coloured()
    if not profile.slowest:
        yield "no calls"
    for number, run in enumerate(profile.slowest, 1):
        how = f", left by {run.exception}" if run.exception else ""
        head = f"{number}. {duration(run.duration_ns)}  {functions[run.function].name}"
        where = f"  at {duration(run.start_ns)} in {run.track.name}{how}"
        yield layout.paint(layout.printable(head), layout.BOLD, colours) + layout.printable(where)
        for node in reversed(tree.path(run.node)):
            function = functions[tree.function[node]]
            if function.index == run.function and node == run.node:
                place = f"{function.file}:{function.line}" if function.file else ""
                yield f"     {layout.printable(place)}" if place else "     (C)"
            else:
                yield f"     in {layout.printable(function.name)}"
