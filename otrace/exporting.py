"""What an exporter is, and where exporters come from: the entry-point group `otrace.exporters`.

The built-in exporters come the same way as a stranger's. docs/writing-an-exporter.md has a
complete example.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from otrace.config import parse_bool
from otrace.entry_points import EntryPoint, read_group, read_group_anywhere
from otrace.errors import ExportError, OtraceError, PluginError, UsageError
from otrace.output import OutputFile, check_output, open_output

if TYPE_CHECKING:
    from otrace.recording import Recording

__all__ = [
    "ExportResult",
    "Exporter",
    "ExporterOption",
    "OutputFile",
    "Progress",
    "check",
    "check_output",
    "export",
    "find",
    "for_suffix",
    "installed",
    "open_output",
    "resolve_options",
]

GROUP = "otrace.exporters"
OWN_DISTRIBUTION = "otrace"
Progress = Callable[[float], None]
"""Called now and then with the fraction done, from 0.0 to 1.0."""


@dataclass(frozen=True)
class ExporterOption:
    """An option that an exporter takes: `--exporter-option EXPORTER.NAME=VALUE`."""

    name: str
    """With underscores; people may write hyphens."""
    type: Callable[[str], object]
    """Turns the text into the value: int, float, str, bool, or a function raising ValueError."""
    default: object
    help: str = ""


@dataclass(frozen=True)
class ExportResult:
    """What an export has written or sent."""

    target: str | None
    """The file, or the address that it was sent to."""
    calls: int
    """Calls in the output."""
    bytes: int
    """Bytes written or sent."""
    message: str = ""
    """Something to say besides, such as what a budget left out; empty for nothing."""


@runtime_checkable
class Exporter(Protocol):
    """Turns a recording into a file, or sends it somewhere. The entry point names a class of this.

    It is made without arguments, and its module should import little: heavy imports belong into
    `export`.
    """

    @property
    def name(self) -> str:
        """As in the entry-point group."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of its files, the usual one first, such as (".json", ".json.gz"); () for no file."""

    @property
    def options(self) -> tuple[ExporterOption, ...]:
        """The options that it takes."""

    def check(self, target: str | None, options: Mapping[str, object]) -> None:
        """Before the program starts: raise UsageError when `target` cannot be written."""

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write or send the recording. Raises ExportError."""


@dataclass(frozen=True)
class Installed:
    """An entry point of the group: its exporter, or why there is none."""

    entry_point: EntryPoint
    exporter: Exporter | None
    error: PluginError | None

    @property
    def name(self) -> str:
        """The name that people give to --export."""
        return self.entry_point.name

    @property
    def built_in(self) -> bool:
        """Whether it came with otrace."""
        return self.entry_point.distribution.partition(" ")[0] == OWN_DISTRIBUTION


def load(point: EntryPoint) -> Installed:
    """Import one entry point; whatever goes wrong becomes its `error`."""
    owner = f"exporter {point.name!r} of {point.distribution} cannot be used"
    try:
        found = point.load()
        exporter = found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:  # it is a stranger's code
        reason = f"{owner}: {type(error).__name__}: {one_line(error)}"
        return Installed(point, None, PluginError(reason))
    missing = [
        name
        for name in ("name", "suffixes", "options", "check", "export")
        if not hasattr(exporter, name)
    ]
    if missing:
        reason = f"{owner}: {point.value} has no {', '.join(missing)}"
        return Installed(point, None, PluginError(reason))
    return Installed(point, exporter, None)  # type: ignore[arg-type]


def entry_points() -> list[EntryPoint]:
    """The entry points of the group: otrace's own first, then by name."""
    points = read_group(GROUP) or read_group_anywhere(GROUP)
    return sorted(
        points,
        key=lambda point: (point.distribution.partition(" ")[0] != OWN_DISTRIBUTION, point.name),
    )


def installed() -> list[Installed]:
    """Every exporter that is installed, loaded; broken ones carry their error."""
    return [load(point) for point in entry_points()]


def find(name: str) -> Exporter:
    """The exporter of a name; no other is loaded.

    Raises UsageError when there is none, PluginError when it is broken.
    """
    for points in (read_group, read_group_anywhere):
        for point in points(GROUP):
            if point.name == name:
                found = load(point)
                if found.exporter is None:
                    assert found.error is not None
                    raise found.error
                return found.exporter
    known = ", ".join(point.name for point in entry_points()) or "none"
    raise UsageError(f"unknown exporter {name!r}; installed are: {known}")


def for_suffix(path: str, on_broken: Callable[[PluginError], None] | None = None) -> Exporter:
    """The exporter whose suffix `path` ends with; the longest suffix wins, then otrace's own.

    `on_broken` hears of exporters that cannot be loaded. Raises UsageError when none fits.
    """
    best: tuple[int, Exporter] | None = None
    known: list[str] = []
    for found in installed():
        if found.error is not None and on_broken is not None:
            on_broken(found.error)
        if found.exporter is None:
            continue
        known.extend(found.exporter.suffixes)
        for suffix in found.exporter.suffixes:
            if path.lower().endswith(suffix) and (best is None or len(suffix) > best[0]):
                best = len(suffix), found.exporter
    if best is None:
        raise UsageError(
            f"cannot tell the format of {path} by its name: "
            f"end it in {', '.join(known)} or name an exporter"
        )
    return best[1]


def resolve_options(exporter: Exporter, given: Mapping[str, object]) -> dict[str, object]:
    """Every option of the exporter with its value: given (text is parsed), or the default.

    Raises UsageError for an unknown option or a value that it cannot take.
    """
    rows = {option.name: option for option in exporter.options}
    values = {option.name: option.default for option in exporter.options}
    for key, value in given.items():
        name = key.replace("-", "_")
        row = rows.get(name)
        if row is None:
            known = ", ".join(rows) or "none"
            raise UsageError(f"exporter {exporter.name} has no option {key!r}; it has: {known}")
        values[name] = value
        if isinstance(value, str):
            convert = parse_bool if row.type is bool else row.type
            try:
                values[name] = convert(value)
            except ValueError as error:
                raise UsageError(f"{exporter.name}.{name} is {value!r}: {error}") from None
    return values


def export(
    recording: Recording,
    target: str | os.PathLike[str] | None = None,
    *,
    exporter: str | Exporter | None = None,
    options: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Export a recording: by the named exporter, or the one that the suffix of `target` chooses.

    Raises UsageError before anything is written, ExportError when it fails.
    """
    found, path, values = prepare(target, exporter, options or {})
    return run(found, recording, path, values, progress)


def check(
    target: str | os.PathLike[str] | None = None,
    *,
    exporter: str | Exporter | None = None,
    options: Mapping[str, object] | None = None,
) -> None:
    """Raise UsageError or PluginError where `export` would, without a recording."""
    prepare(target, exporter, options or {})


def prepare(
    target: str | os.PathLike[str] | None,
    exporter: str | Exporter | None,
    options: Mapping[str, object],
) -> tuple[Exporter, str | None, dict[str, object]]:
    """The exporter, its target and all its options, checked. Raises UsageError."""
    path = None if target is None else os.fspath(target)
    if exporter is None:
        if path is None:
            raise UsageError("nothing says how to export: give a target file or an exporter")
        exporter = for_suffix(path)
    elif isinstance(exporter, str):
        exporter = find(exporter)
    values = resolve_options(exporter, options)
    exporter.check(path, values)
    return exporter, path, values


def run(
    exporter: Exporter,
    recording: Recording,
    target: str | None,
    options: Mapping[str, object],
    progress: Progress | None = None,
) -> ExportResult:
    """Call an exporter; whatever it raises comes out as an OtraceError. Options are resolved."""
    try:
        return exporter.export(recording, target, options, progress)
    except OtraceError:
        raise
    except Exception as error:
        raise ExportError(
            f"exporter {exporter.name} failed: {type(error).__name__}: {one_line(error)}"
        ) from error


def one_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]
