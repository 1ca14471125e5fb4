"""`otrace diff`: what became slower from one recording to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from otrace.cli import layout
from otrace.cli.words import duration
from otrace.output import check_output

if TYPE_CHECKING:
    from otrace.profile.diff import Comparison, FunctionChange, PathChange

Data = dict[str, object]
COLOURS = {"slower": layout.RED, "new": layout.RED, "faster": layout.GREEN, "gone": layout.GREEN}
PATH_NAMES = 4

EPILOG = """\b
Examples:
  otrace diff before.otrace after.otrace
  otrace diff before.otrace after.otrace --all --limit 0 --json
  otrace diff before.otrace after.otrace -o changes.html
"""


@click.command(epilog=EPILOG)
@click.argument("before", metavar="A", type=click.Path())
@click.argument("after", metavar="B", type=click.Path())
@click.option(
    "--limit", type=click.IntRange(0), default=20, show_default=True, help="Rows; 0: all."
)
@click.option("--all", "everything", is_flag=True, help="What did not change, too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, times in nanoseconds.")
@click.option(
    "-o", "--output", metavar="FILE", help="Write a page, too: a flamegraph in red and blue."
)
def command(
    before: str, after: str, limit: int, everything: bool, as_json: bool, output: str | None
) -> None:
    """Show what is slower, faster, new or gone in recording B, compared with A.

    A function is slower when the median of its calls rose by more than a tenth, or it was called
    more often, and its time by more than a thousandth of the whole.
    """
    from otrace.cli.profiling import count, warn
    from otrace.profile.diff import compare
    from otrace.recording import Recording

    if output is not None:
        check_output(output)
    profiles = [count(Recording.open(path)) for path in (before, after)]
    if output is not None:
        from otrace_exporters.flamegraph.exporter import write_diff

        write_diff(output, profiles[0], profiles[1], title=f"{before} and {after}")
    comparison = compare(*profiles)
    functions = [change for change in comparison.functions if everything or change.state != "same"]
    paths = [change for change in comparison.paths if everything or change.state != "same"]
    if as_json:
        import json

        data = describe(comparison, functions[: limit or None], paths[: limit or None])
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(title(comparison))
    for line in function_lines(functions[: limit or None]):
        click.echo(line)
    if limit and len(functions) > limit:
        click.echo(f"… and {len(functions) - limit:,} more functions (--limit 0 shows all)")
    for line in path_lines(paths[: limit or None]):
        click.echo(line)
    if limit and len(paths) > limit:
        click.echo(f"… and {len(paths) - limit:,} more paths (--limit 0 shows all)")
    for profile in profiles:
        warn(profile)


def title(comparison: Comparison) -> str:
    """Both times in a line."""
    delta = comparison.after_ns - comparison.before_ns
    share = f", {100 * delta / comparison.before_ns:+.1f}%" if comparison.before_ns else ""
    return (
        f"{duration(comparison.before_ns)} before, {duration(comparison.after_ns)} after"
        f" ({signed(delta)}{share})"
    )


def signed(nanoseconds: int) -> str:
    """A duration with its sign."""
    if nanoseconds == 0:
        return "0 ns"
    return ("+" if nanoseconds > 0 else "-") + duration(abs(nanoseconds))


def painted(lines: list[str], states: Sequence[str], heading: str) -> list[str]:
    """A table with a heading, each row in the colour of its state."""
    colours = layout.coloured()
    head, *rows = lines
    shown = [
        layout.paint(row, COLOURS.get(state, ""), colours)
        for row, state in zip(rows, states, strict=True)
    ]
    return ["", layout.paint(heading, layout.BOLD, colours), head, *shown]


def function_lines(changes: list[FunctionChange]) -> list[str]:
    """The table of functions."""
    if not changes:
        return ["no function changed"]
    heads = ["state", "self", "total", "calls", "median before", "after", "function"]
    rows = [
        [
            change.state,
            signed(change.self_delta_ns),
            signed(change.total_delta_ns),
            f"{change.calls_delta:+,}",
            duration(change.median_before_ns) if change.before else "-",
            duration(change.median_after_ns) if change.after else "-",
            layout.printable(change.name),
        ]
        for change in changes
    ]
    states = [change.state for change in changes]
    return painted(list(layout.table(heads, rows, layout.columns())), states, "By function")


def path_lines(changes: list[PathChange]) -> list[str]:
    """The table of call paths; of each the innermost names."""
    if not changes:
        return []
    heads = ["state", "self", "total", "calls", "call path"]
    rows = [
        [
            change.state,
            signed(change.self_after_ns - change.self_before_ns),
            signed(change.after_ns - change.before_ns),
            f"{change.runs_after - change.runs_before:+,}",
            layout.printable(" > ".join(change.path[-PATH_NAMES:])),
        ]
        for change in changes
    ]
    states = [change.state for change in changes]
    return painted(list(layout.table(heads, rows, layout.columns())), states, "By call path")


def describe(
    comparison: Comparison, functions: list[FunctionChange], paths: list[PathChange]
) -> Data:
    """The same as JSON values."""
    return {
        "before_ns": comparison.before_ns,
        "after_ns": comparison.after_ns,
        "functions": [describe_function(change) for change in functions],
        "paths": [describe_path(change) for change in paths],
    }


def describe_function(change: FunctionChange) -> Data:
    """A function in both recordings."""
    sides: Data = {}
    for side, function in (("before", change.before), ("after", change.after)):
        sides[side] = function and {
            "calls": function.calls,
            "runs": function.runs,
            "self_ns": function.self_ns,
            "total_ns": function.total_ns,
            "median_ns": function.quantile(0.5),
        }
    head = {"name": change.name, "file": change.file, "line": change.line, "state": change.state}
    return head | sides


def describe_path(change: PathChange) -> Data:
    """A call path in both recordings."""
    return {
        "path": list(change.path),
        "state": change.state,
        "before": {
            "runs": change.runs_before,
            "self_ns": change.self_before_ns,
            "total_ns": change.before_ns,
        },
        "after": {
            "runs": change.runs_after,
            "self_ns": change.self_after_ns,
            "total_ns": change.after_ns,
        },
    }
