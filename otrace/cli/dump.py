"""`otrace dump`: the raw records of a recording as text."""

import sys

import click


@click.command()
@click.argument("path", metavar="RECORDING", type=click.Path())
def command(path: str) -> None:
    """Print the raw records of RECORDING, one a line, for finding out what went wrong."""
    from otrace.recording import Recording

    recording = Recording.open(path)
    sys.stdout.flush()
    for block in recording.dump():
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
