"""`otrace view`: serve traces on 127.0.0.1 and open Perfetto's UI on them."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack, suppress

import click

from otrace.cli.words import say
from otrace.view.items import Library
from otrace.view.server import ViewServer
from otrace.view.ui import URL_PORT, choose

EPILOG = """\b
Examples:
  otrace view app.json
  otrace view app.otrace
  otrace view --ui local app.pftrace
  otrace view .
"""


@click.command(epilog=EPILOG)
@click.argument("path", metavar="FILE|RECORDING|FOLDER", type=click.Path())
@click.option(
    "--port",
    type=int,
    help=f"The port to serve on; 0 for any. [default: {URL_PORT}, or any when it is in use]",
)
@click.option(
    "--ui",
    metavar="FOLDER|local|online",
    help="Serve the Perfetto UI in this folder, or the installed one, or use the public one. "
    "[default: online, if that can be reached]",
)
@click.option("--with-source", is_flag=True, help="Put source text into traces of recordings.")
@click.option("--browser/--no-browser", default=True, help="Open the browser.")
@click.option("--once", is_flag=True, help="End when a trace has been fetched.")
def command(
    path: str, port: int | None, ui: str | None, with_source: bool, browser: bool, once: bool
) -> None:
    """Open a trace, a recording, or a folder of them, in Perfetto's UI.

    The traces do not leave this machine.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otrace-view-"))
        library = Library(path, folder, with_source=with_source)
        if not library.is_folder:
            for item in library.items():
                library.trace_of(item)
        local, words = choose(ui)
        if words:
            say(words)
        server = stack.enter_context(ViewServer(library, port=port, ui=local, once=once))
        url = server.start_url
        with suppress(KeyboardInterrupt):
            click.echo(url)
            sys.stdout.flush()
            say(f"serving {path} on {server.origin}; Ctrl+C ends it")
            if browser:
                open_browser(url)
            server.serve_forever(poll_interval=0.2)


def open_browser(url: str) -> None:
    """Open the person's browser, or say that there is none."""
    import webbrowser

    if not webbrowser.open(url):
        say("cannot find a browser: open the address above in one")
