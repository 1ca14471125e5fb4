"""`otrace recover`: list recordings that were left behind."""

from __future__ import annotations

import time

import click

from otrace import abandoned
from otrace.cli import words
from otrace.errors import SessionError
from otrace.session import temporary_folder


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(), required=False)
def command(folder: str | None) -> None:
    r"""List recordings in DIR (the temporary folder) that nobody has exported.

    \b
    They come from programs that used the library and were killed, and from an `otrace run` that
    was killed itself. Export one with: otrace export PATH -o FILE
    """
    folder = folder or temporary_folder()
    try:
        found = abandoned.find(folder)
    except OSError as error:
        raise SessionError(f"cannot look for recordings in {folder}: {error.strerror}") from None
    for one in found:
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.created_ns / 1e9))
        size, processes = words.size(one.bytes), words.count(one.processes, "process")
        click.echo(f"{one.path}  {one.program}  {created}  {processes}  {size}  {one.state}")
    if not found:
        words.say(f"no recordings in {folder}")
