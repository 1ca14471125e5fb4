"""`otrace view`: serve a trace on 127.0.0.1 and open Perfetto's UI on it."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, suppress

import click

from otrace.cli.words import say
from otrace.errors import ViewError
from otrace.exporting import export
from otrace.session import SEGMENT_SUFFIX, SUFFIX, stem
from otrace.view import DEFAULT_PORT, TraceServer

EPILOG = """\b
Examples:
  otrace view app.json
  otrace view app.otrace
"""


@click.command(epilog=EPILOG)
@click.argument("path", metavar="FILE|RECORDING", type=click.Path())
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, help="The port to serve on; 0 for any."
)
@click.option("--browser/--no-browser", default=True, help="Open the browser.")
@click.option("--once", is_flag=True, help="End when the trace has been fetched.")
def command(path: str, port: int, browser: bool, once: bool) -> None:
    """Open a trace, or a recording, in Perfetto's UI. The trace does not leave this machine."""
    with ExitStack() as stack:
        trace = path
        if os.path.isdir(path) or path.rstrip("/").endswith((SUFFIX, SEGMENT_SUFFIX)):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otrace-view-"))
            trace = convert(path, folder)
        elif not os.path.isfile(path):
            raise ViewError(f"cannot view {path}: no such file")
        server = stack.enter_context(TraceServer(trace, port=port, once=once))
        click.echo(server.ui_url)
        sys.stdout.flush()
        say(f"serving {path} on {server.url}; Ctrl+C ends it")
        if browser:
            open_browser(server.ui_url)
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)


def convert(path: str, folder: str) -> str:
    """Export a recording for the viewer; returns the file."""
    from otrace.recording import Recording

    name = stem(path.rstrip("/").removesuffix(SUFFIX)) + ".pftrace"
    target = os.path.join(folder, name)
    export(Recording.open(path), target, exporter="perfetto")
    return target


def open_browser(url: str) -> None:
    """Open the person's browser, or say that there is none."""
    import webbrowser

    if not webbrowser.open(url):
        say("cannot find a browser: open the address above in one")
