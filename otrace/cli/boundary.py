"""The edge of the command line: every error becomes one line on stderr and an exit status."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from otrace.cli.words import say
from otrace.errors import OtraceError

INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE, as for a program that the signal ended


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `otrace ARGUMENTS` (sys.argv by default) and exit."""
    status = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = BROKEN_PIPE
        silence_stdout()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit status: 0, 1 for a failure, 2 for a usage error."""
    from otrace.cli.group import otrace

    try:
        result = otrace.main(list(arguments), prog_name="otrace", standalone_mode=False)
    except OtraceError as error:
        say(str(error))
        return error.exit_status
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        say(f"{error.format_message().rstrip('.')}{hint}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return BROKEN_PIPE
    except Exception as error:  # a defect of otrace: a line, and more on request
        if os.environ.get("OTRACE_DEBUG"):
            raise
        say(
            f"internal error: {type(error).__name__}: {error}; "
            "please report it with the output of the same command under OTRACE_DEBUG=1"
        )
        return 1
    return result if isinstance(result, int) else 0


def silence_stdout() -> None:
    """Nobody reads standard output any more: let the interpreter's last flush go nowhere."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
