"""The command `otrace` and its sub-commands, imported when they are used."""

import importlib

import click

COMMANDS = {
    "run": "Run a program and record every call.",
    "export": "Write a recording in another format, or send it.",
    "info": "Say what is in a recording.",
    "stats": "Show the functions that took the most time.",
    "tree": "Show the calls as a tree with their time.",
    "diff": "Show what is slower in one recording than in another.",
    "top": "Show where the time of a running recording goes.",
    "dump": "Print the raw records of a recording.",
    "exporters": "List the installed exporters.",
    "view": "Open a trace in Perfetto's UI.",
    "recover": "List recordings that were left behind.",
}

EPILOG = """\b
Examples:
  otrace run app.py
  otrace run --export perfetto -o t.pftrace -m package.module ARG
  otrace view app.json
"""


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command: `command` of the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"otrace.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """`--version`: otrace's version, and the Python that runs it."""
    if value and not ctx.resilient_parsing:
        import sys

        from otrace import __version__

        click.echo(f"otrace {__version__} (Python {sys.version.partition(' ')[0]})")
        ctx.exit()


@click.command(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
def otrace() -> None:
    """Record every call of a Python program on a nanosecond timeline."""
