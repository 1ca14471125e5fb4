"""`otrace run`: run a program under a supervisor, and export what was recorded afterwards."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from otrace import program as programs
from otrace import supervisor
from otrace.cli.options import (
    exporter_arguments,
    exporter_names,
    exporter_options,
    recording_arguments,
    recording_options,
)
from otrace.cli.outputs import Job, Plan, plan
from otrace.cli.run_arguments import Invocation, split
from otrace.cli.words import say, size
from otrace.config import Options
from otrace.config_sources import resolve
from otrace.errors import OtraceError, SessionError, UsageError
from otrace.live import LiveExport
from otrace.session import Session, stem

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXAMPLE = "otrace run app.py, otrace run -m package.module, otrace run pytest tests/"
EPILOG = """\b
Examples:
  otrace run app.py a b                      writes app.json
  otrace run app.py --export perfetto        writes app.pftrace
  otrace run -o t.json.gz -m package.module
  otrace run --export chrome=t.json --export otlp -c 'import this'
  otrace run pytest tests/

Options come before the program. Directly after a script, --export and -o are still otrace's; write
-- to end that. Everything else after the program is the program's.
"""
INVOCATION = "otrace.invocation"


class RunCommand(click.Command):
    """A command whose arguments are a program and its own words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the program's words aside before click sees the rest."""
        takes_value = frozenset(
            flag
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for flag in parameter.opts
        )
        own, invocation = split(args, takes_value, programs.is_script)
        super().parse_args(ctx, own)
        ctx.meta[INVOCATION] = invocation
        return []

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Options; else files: the program, or what it takes."""
        from click.shell_completion import CompletionItem

        return super().shell_complete(ctx, incomplete) or [CompletionItem(incomplete, type="file")]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The line after "Usage:"."""
        return ["[OPTIONS]", "{PROGRAM | -m MODULE | -c CODE}", "[ARGUMENTS]..."]


@click.command(cls=RunCommand, epilog=EPILOG)
@click.option("-m", "module", expose_value=False, metavar="MODULE", help="Run a module.")
@click.option("-c", "code", expose_value=False, metavar="CODE", help="Run this code.")
@click.option(
    "--export",
    "exports",
    multiple=True,
    metavar="NAME[=FILE]",
    shell_complete=exporter_names,
    help="Export with this exporter: chrome, perfetto, otlp, … (repeatable). [default: chrome]",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="Write to this file; its suffix chooses the exporter. NAME.otrace keeps the recording.",
)
@click.option("--keep", is_flag=True, help="Keep the recording as PROGRAM-TIME.otrace.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing, not even when an export fails.")
@exporter_options
@recording_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    exports: tuple[str, ...],
    outputs: tuple[str, ...],
    keep: bool,
    quiet: bool,
    exporter_option: tuple[str, ...],
    **values: object,
) -> None:
    """Run a program and record every call; its streams and exit status stay its own."""
    invocation = ctx.meta[INVOCATION]
    if invocation is None:
        raise UsageError(f"run needs a program, such as: {EXAMPLE}")
    given = exporter_arguments(exporter_option, values)
    program = resolve_program(invocation)
    wanted = plan(exports, outputs, given, stem(program.name), quiet=quiet)
    options = resolve(recording_arguments(values))
    session = create_session(program, options)
    live: dict[int, LiveExport] = {}
    try:
        environment = programs.environment_for(program, session.path, options)
        ended = supervisor.run(
            program,
            environment,
            on_start=lambda pid: begin(session, pid, wanted, live, quiet=quiet),
            kept_descriptors=descriptors_in(wanted),
        )
    except BaseException:
        session.remove()
        raise
    try:
        finish(session, wanted, program, ended, live, keep=keep, quiet=quiet)
    finally:
        supervisor.end_like(ended)


def resolve_program(invocation: Invocation) -> programs.Program:
    """The command line to start. Raises UsageError."""
    if invocation.kind == "module":
        return programs.module(invocation.program, invocation.arguments)
    if invocation.kind == "code":
        return programs.code(invocation.program, invocation.arguments)
    if invocation.kind == "script":
        return programs.script(invocation.program, invocation.arguments)
    return programs.console_script(invocation.program, invocation.arguments)


def create_session(program: programs.Program, options: Options) -> Session:
    """The recording's folder. Raises UsageError: nothing has been started yet."""
    try:
        return Session.create(program.name, options)
    except SessionError as error:
        raise UsageError(str(error)) from error


def begin(
    session: Session, pid: int, wanted: Plan, live: dict[int, LiveExport], *, quiet: bool
) -> None:
    """The program runs: note its process, and start the exports that go on meanwhile."""
    with suppress(SessionError):  # the manifest helps readers; a full disk must not disturb
        session.set_root(pid)
    for place, job in enumerate(wanted.jobs):
        started = LiveExport.start(
            job.exporter, job.target, job.options, session.path, ignore if quiet else say
        )
        if started is not None:
            live[place] = started


def ignore(text: str) -> None:
    """Said to nobody."""


def descriptors_in(wanted: Plan) -> set[int]:
    """Descriptors that outputs name, such as 63 of the shell's >(command)."""
    found = set()
    for job in wanted.jobs:
        folder, _, name = (job.target or "").rpartition("/")
        if folder in ("/dev/fd", "/proc/self/fd") and name.isdigit():
            found.add(int(name))
    return found


def finish(
    session: Session,
    wanted: Plan,
    program: programs.Program,
    ended: supervisor.Ended,
    live: dict[int, LiveExport],
    *,
    keep: bool,
    quiet: bool,
) -> None:
    """Export after the program's end. Raises nothing: the exit status is the program's."""
    if ended.signal is not None and not quiet:
        say(f"{program.name} was {ended.words}")
    failures: list[str] = []
    try:
        with suppress(SessionError):
            session.finish(status=ended.status, signal=ended.signal)
        if not session.has_segments():
            failed = session.first_failure()
            session.remove()
            if not quiet:
                say(f"nothing was recorded: {why_nothing(program, failed)}")
            return
        jobs, failures = finish_live(wanted, live, quiet=quiet)
        failures += export(session, jobs, quiet=quiet)
    except OtraceError as error:
        failures = [str(error)]
    except KeyboardInterrupt:
        failures = ["the export was interrupted"]
    except Exception as error:  # whatever it is, the program's status stands
        failures = [f"the export failed: {type(error).__name__}: {error}"]
    with suppress(KeyboardInterrupt):
        settle(session, wanted, failures, keep=keep, quiet=quiet)


def finish_live(
    wanted: Plan, live: dict[int, LiveExport], *, quiet: bool
) -> tuple[list[Job], list[str]]:
    """End the exports that went on beside the program: those still to do, and what failed."""
    jobs, failures = [], []
    for place, job in enumerate(wanted.jobs):
        try:
            result = live.pop(place).finish() if place in live else None
        except OtraceError as error:
            failures.append(str(error))
            continue
        if result is None:
            jobs.append(job)
        elif not quiet:
            say(f"{result.target}: {size(result.bytes)}; {result.message}")
    return jobs, failures


def export(session: Session, jobs: list[Job], *, quiet: bool) -> list[str]:
    """Run the exports; returns what failed. Raises OtraceError."""
    if not jobs:
        return []
    from otrace.cli.exports import perform, warnings_of
    from otrace.recording import Recording

    recording = Recording.open(session.path)
    failures = [str(error) for error in perform(jobs, recording, quiet=quiet)]
    if not quiet:
        for line in warnings_of(recording):
            say(line)
    return failures


def settle(session: Session, wanted: Plan, failures: list[str], *, keep: bool, quiet: bool) -> None:
    """Keep or remove the recording, and say in a line what failed and where the recording is."""
    where = ""
    if keep or wanted.keep_at is not None or failures:
        try:
            where = session.keep(wanted.keep_at, replace=wanted.keep_at is not None)
            where = os.path.relpath(where) if wanted.keep_at is None else wanted.keep_at
        except (OtraceError, OSError) as error:
            where = session.path
            if not failures:
                failures = [str(error)]
    else:
        session.remove()
    if quiet:
        return  # what is kept tells of the failure
    if failures:
        say(f"{'; '.join(failures)}; the recording is kept: otrace export {where} --to NAME")
    elif where:
        say(f"recording kept as {where}")


def why_nothing(program: programs.Program, failure: str) -> str:
    """The likely reason that nothing was recorded; `failure` is what a process left in writing."""
    if failure:
        return failure
    if program.interpreter is None:
        return f"{program.executable} is not run by Python, or by one that otrace cannot see"
    flags = short_flags(program)
    if "S" in flags:
        return "Python's -S leaves out site-packages, where recording starts from"
    if program.interpreter != sys.executable:
        return f"{program.interpreter} has no otrace installed: install it in that environment"
    if not programs.has_startup_file(program.interpreter) and flags & {"E", "I"}:
        return "-E and -I leave out PYTHONPATH, and otrace.pth is not installed in site-packages"
    return "the program ended before Python started, or cleared its environment and restarted"


def short_flags(program: programs.Program) -> set[str]:
    """The letters of the flags that a Python interpreter was started with."""
    letters: set[str] = set()
    if program.interpreter == program.executable:
        for word in program.argv[1:]:
            if not word.startswith("-") or word in ("-", "--") or word[1] in "mcWX":
                break
            letters.update(word[1:])
    return letters
