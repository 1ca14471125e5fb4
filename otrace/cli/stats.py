"""`otrace stats`: where the time went, by function, module, file, thread or process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from otrace.cli import layout
from otrace.cli.words import duration

if TYPE_CHECKING:
    from otrace.profile import FunctionProfile, Profile
    from otrace.profile.groups import Group
    from otrace.profile.profile import Roots

Data = dict[str, object]

SORTS = ("self", "total", "calls", "mean", "p50", "p95", "p99", "max", "exceptions", "name")
GROUPS = ("function", "module", "file", "thread", "process")
ROOTS: dict[str, Roots] = {"thread": "thread", "process": "process"}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

EPILOG = """\b
Examples:
  otrace stats app.otrace
  otrace stats app.otrace --sort p99 --filter 'app.*'
  otrace stats app.otrace --by module --limit 0 --json | jq '.rows[0]'
"""


@click.command(epilog=EPILOG)
@click.argument("path", metavar="RECORDING", type=click.Path())
@click.option("--sort", type=click.Choice(SORTS), default="self", show_default=True, help="Order.")
@click.option(
    "--by", type=click.Choice(GROUPS), default="function", show_default=True, help="A row for each."
)
@click.option(
    "--limit", type=click.IntRange(0), default=30, show_default=True, help="Rows; 0: all."
)
@click.option(
    "--filter", "wanted", metavar="TEXT", help="Only names with this text, or like this pattern."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, times in nanoseconds.")
def command(path: str, sort: str, by: str, limit: int, wanted: str | None, as_json: bool) -> None:
    """Show the functions of RECORDING that took the most time, exact from all calls."""
    from otrace.cli.profiling import count, warn
    from otrace.recording import Recording

    profile = count(Recording.open(path), roots=ROOTS.get(by, "all"))
    rows = rows_of(profile, by)
    if wanted is not None:
        from otrace.profile.groups import matching

        names = matching((str(row["name"]) for row in rows), wanted)
        rows = [row for row in rows if row["name"] in names]
    rows = arrange(rows, sort)
    shown = rows[:limit] if limit else rows
    if as_json:
        import json

        data = {"path": path, "by": by, "sort": sort, "total_ns": profile.total_ns}
        data |= {"rows": shown, "all_rows": len(rows), "warnings": profile.warnings}
        click.echo(json.dumps(data, indent=2))
        return
    for line in lines_of(shown, profile.total_ns):
        click.echo(line)
    if len(shown) < len(rows):
        click.echo(f"… and {len(rows) - len(shown):,} more (--limit 0 shows all)")
    warn(profile)


def rows_of(profile: Profile, by: str) -> list[Data]:
    """A row for each function or group that has calls."""
    from otrace.profile import groups

    if by == "function":
        return [row_of(function) for function in profile.functions if function.runs]
    if by == "module":
        return [group_row(group) for group in groups.by_key(profile, groups.module_of)]
    if by == "file":
        return [group_row(group) for group in groups.by_key(profile, groups.file_of)]
    return [group_row(group) for group in groups.by_root(profile)]


def row_of(function: FunctionProfile) -> Data:
    """A function's numbers."""
    row: Data = {
        "name": function.name,
        "kind": function.kind,
        "file": function.file,
        "line": function.line,
        "calls": function.calls,
        "runs": function.runs,
        "primitive": function.primitive,
        "open": function.open,
        "cut": function.cut,
        "exceptions": function.exceptions,
        "self_ns": function.self_ns,
        "total_ns": function.total_ns,
        "sum_ns": function.sum_ns,
        "mean_ns": round(function.mean_ns),
        "min_ns": function.min_ns,
        "max_ns": function.max_ns,
    }
    row |= {f"{name}_ns": function.quantile(value) for name, value in QUANTILES.items()}
    return row


def group_row(group: Group) -> Data:
    """A group's numbers."""
    return {
        "name": group.name,
        "calls": group.calls,
        "runs": group.runs,
        "self_ns": group.self_ns,
        "total_ns": group.total_ns,
        "mean_ns": round(group.self_ns / group.runs),
    }


def number(row: Data, key: str) -> int:
    """A number that came out of the untyped values above; 0 when the row has none."""
    value = row.get(key, 0)
    assert isinstance(value, int)
    return value


def arrange(rows: list[Data], sort: str) -> list[Data]:
    """The rows in the order that was asked for, the biggest first; names from A to Z."""
    rows = sorted(rows, key=lambda row: str(row["name"]))
    if sort == "name":
        return rows
    key = sort if sort in ("calls", "exceptions") else f"{sort}_ns"
    return sorted(rows, key=lambda row: -number(row, key))


def lines_of(rows: list[Data], total_ns: int) -> list[str]:
    """The table."""
    if not rows:
        return ["no calls"]
    per_call = [name for name in ("mean", "p50", "p95", "p99", "max") if f"{name}_ns" in rows[0]]
    heads = ["self", "self%", "total", "total%", "calls", *per_call, "name"]
    width = layout.columns()
    if width < 100:  # the name matters more than every quantile
        per_call = [name for name in per_call if name in ("mean", "p95", "max")][: width // 25]
        heads = ["self", "self%", "total", "calls", *per_call, "name"]
    cells = [[cell(row, head, total_ns) for head in heads] for row in rows]
    lines = list(layout.table(heads, cells, width))
    lines[0] = layout.paint(lines[0], layout.BOLD, layout.coloured())
    return lines


def cell(row: Data, head: str, total_ns: int) -> str:
    """One number as text."""
    if head == "name":
        resumed = number(row, "runs") - number(row, "calls")
        more = f" ({resumed:,} resumed)" if resumed else ""
        return layout.printable(str(row["name"])) + more
    if head == "calls":
        return f"{number(row, 'calls'):,}"
    if head.endswith("%"):
        return layout.percent(number(row, f"{head[:-1]}_ns"), total_ns)
    return duration(number(row, f"{head}_ns"))
