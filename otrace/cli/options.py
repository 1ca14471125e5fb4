"""Flags that several commands share: the recording options and those of exporters."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import click

from otrace.config import BOOL, COUNT, DURATION, LIST, OPTIONS, SIZE, Option
from otrace.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., object])

# In place of an exporter's name: each one that has the option.
EVERY_EXPORTER = ""
# Flags for options of exporters: parameter -> (exporter, option).
EXPORTER_FLAGS = {
    "max_spans": ("otlp", "max_spans"),
    "otlp_max_depth": ("otlp", "max_depth"),
    "tasks": (EVERY_EXPORTER, "tasks"),
    "jaeger_url": (EVERY_EXPORTER, "jaeger_url"),
}


def recording_options(function: Function) -> Function:
    """Add a flag for each row of the table of recording options."""
    for option in reversed(OPTIONS):
        function = flag_of(option)(function)
    return function


def flag_of(option: Option) -> Callable[[Function], Function]:
    """The click option of a row. Its parameter is the API keyword; None or () when not given."""
    if option.kind is BOOL:
        return click.option(
            option.flag, option.keyword, is_flag=True, default=None, help=option.help
        )
    if option.kind is LIST:
        return click.option(
            option.flag, option.keyword, multiple=True, metavar="PATTERN", help=option.help
        )
    default = {SIZE: "1GiB", DURATION: "0", COUNT: "0"}.get(option.kind)
    shown = f"{option.help} [default: {default}]" if option.kind is SIZE else option.help
    return click.option(option.flag, option.keyword, metavar=option.kind.metavar, help=shown)


def recording_arguments(values: Mapping[str, object]) -> dict[str, object]:
    """API keywords from what click parsed: a flag that was not given is None.

    Raises ConfigError that names the flag for a value it cannot take.
    """
    arguments: dict[str, object] = {}
    for option in OPTIONS:
        value = values[option.keyword]
        if option.kind is LIST and not value:
            value = None
        if value is not None:
            value = option.parse(value, option.flag.partition("/")[0])
        if value is not None and option.kind is DURATION:
            value = option.kind.format(value)  # the keyword wants its unit
        arguments[option.keyword] = value
    return arguments


def exporter_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The exporters that a shell may complete a word to."""
    from otrace.exporting import installed

    return [found.name for found in installed() if found.name.startswith(incomplete)]


def exporter_options(function: Function) -> Function:
    """Add --exporter-option and the flags for options of otrace's own exporters."""
    for decorator in (
        click.option(
            "--tasks/--no-tasks",
            "tasks",
            default=None,
            help="Show tasks of asyncio and trio on tracks of their own. [default: tasks]",
        ),
        click.option(
            "--jaeger-url",
            metavar="URL",
            help="Jaeger's page: OpenTelemetry spans in chrome and perfetto files link to it.",
        ),
        click.option(
            "--otlp-max-depth",
            metavar="N",
            help="The deepest call sent as a span by otlp. [default: 256]",
        ),
        click.option(
            "--max-spans", metavar="N", help="The most spans a trace sent by otlp. [default: 5000]"
        ),
        click.option(
            "--exporter-option",
            "exporter_option",
            multiple=True,
            metavar="EXPORTER.NAME=VALUE",
            help="An option of an exporter, as `otrace exporters` lists them (repeatable).",
        ),
    ):
        function = decorator(function)
    return function


def exporter_arguments(
    texts: Sequence[str], flags: Mapping[str, object]
) -> dict[str, dict[str, object]]:
    """Exporter → option → text, from --exporter-option and the named flags. Raises UsageError."""
    given: dict[str, dict[str, object]] = {}
    for parameter, (exporter, name) in EXPORTER_FLAGS.items():
        if flags.get(parameter) is not None:
            given.setdefault(exporter, {})[name] = str(flags[parameter])
    for text in texts:
        key, equals, value = text.partition("=")
        exporter, dot, name = key.partition(".")
        if not (equals and dot and exporter and name):
            raise UsageError(f"--exporter-option is {text!r}: write it as EXPORTER.NAME=VALUE")
        given.setdefault(exporter, {})[name.replace("-", "_")] = value
    return given
