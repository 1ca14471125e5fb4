"""`otrace exporters`: what is installed, with suffixes and options."""

import click

from otrace.cli.words import say
from otrace.exporting import Exporter, installed


@click.command()
def command() -> None:
    """List the installed exporters, their suffixes and options.

    Give an option as --exporter-option EXPORTER.NAME=VALUE.
    """
    for found in installed():
        if found.exporter is None:
            say(str(found.error))
            continue
        origin = "" if found.built_in else f"  ({found.entry_point.distribution})"
        suffixes = " ".join(found.exporter.suffixes) or "(no file)"
        click.echo(f"{found.name:12} {suffixes}{origin}")
        for line in option_lines(found.exporter):
            click.echo(line)


def option_lines(exporter: Exporter) -> list[str]:
    """A line for each option of an exporter."""
    lines = []
    for option in exporter.options:
        default = "" if option.default in (None, "") else f" [default: {option.default}]"
        name = f"{exporter.name}.{option.name}"
        lines.append(f"  {name:28} {option.help}{default}".rstrip())
    return lines
