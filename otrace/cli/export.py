"""`otrace export`: write or send a recording, any number of times."""

from __future__ import annotations

import click

from otrace.cli.exports import perform, warnings_of
from otrace.cli.options import exporter_arguments, exporter_names, exporter_options
from otrace.cli.outputs import plan
from otrace.cli.words import say
from otrace.errors import ExportError, UsageError
from otrace.session import SUFFIX, stem

EPILOG = """\b
Examples:
  otrace export app.otrace --to perfetto -o t.pftrace
  otrace export app.otrace -o t.json.gz
  otrace export app.otrace --to otlp
"""


@click.command(epilog=EPILOG)
@click.argument("recording", type=click.Path())
@click.option(
    "--to",
    "--export",
    "exports",
    multiple=True,
    metavar="NAME[=FILE]",
    shell_complete=exporter_names,
    help="Export with this exporter (repeatable). [default: by the suffix of -o, or chrome]",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="Write to this file; its suffix chooses the exporter.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@exporter_options
def command(
    recording: str,
    exports: tuple[str, ...],
    outputs: tuple[str, ...],
    quiet: bool,
    exporter_option: tuple[str, ...],
    **values: object,
) -> None:
    """Write RECORDING in another format, or send it. The recording stays as it is."""
    for output in outputs:
        if output.rstrip("/").endswith(SUFFIX):
            raise UsageError(f"cannot export to {output}: that is the name of a recording")
    name = stem(recording.rstrip("/").removesuffix(SUFFIX))
    wanted = plan(exports, outputs, exporter_arguments(exporter_option, values), name, quiet=quiet)
    from otrace.recording import Recording

    opened = Recording.open(recording)
    failures = perform(wanted.jobs, opened, quiet=quiet)
    if not quiet:
        for line in warnings_of(opened):
            say(line)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExportError("; ".join(str(failure) for failure in failures))
