"""What is to be written after the program: from --export, -o and --exporter-option."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otrace.cli.options import EVERY_EXPORTER
from otrace.cli.words import say
from otrace.errors import UsageError
from otrace.exporting import Exporter, find, for_suffix, resolve_options
from otrace.session import SUFFIX, read_manifest

DEFAULT_EXPORTER = "chrome"
OWN_PAGE = b"<!doctype html>\n<!-- made by otrace -->"
TRACE_BEGINNINGS = (b'{"traceEvents"', b"\x1f\x8b", b"\x0a", OWN_PAGE)  # JSON, gzip, Perfetto


@dataclass(frozen=True)
class Job:
    """One export: checked, ready to run."""

    exporter: Exporter
    target: str | None
    options: Mapping[str, object]

    @property
    def name(self) -> str:
        """Its file, or the exporter's name."""
        return self.target or self.exporter.name


@dataclass(frozen=True)
class Plan:
    """All exports of a run, and where the recording is kept, if a name was given."""

    jobs: tuple[Job, ...]
    keep_at: str | None


def plan(
    exports: Sequence[str],
    outputs: Sequence[str],
    options: Mapping[str, Mapping[str, object]],
    stem: str,
    *,
    quiet: bool = False,
) -> Plan:
    """Find the exporters and check every output. Raises UsageError, PluginError.

    Says which exporters are broken when it has to look through all of them, unless `quiet`.
    """
    wanted: list[tuple[Exporter, str | None]] = []
    for text in exports:
        name, equals, target = text.partition("=")
        if not name or (equals and not target):
            raise UsageError(f"--export is {text!r}: write it as NAME or NAME=FILE")
        wanted.append((find(name), target or None))
    keep_at = None
    for output in outputs:
        if output.rstrip("/").endswith(SUFFIX):
            if keep_at is not None:
                raise UsageError("-o names two recordings; one is enough")
            keep_at = output.rstrip("/")
        else:
            place(output, wanted, quiet=quiet)
    if not wanted and keep_at is None:
        wanted.append((find(DEFAULT_EXPORTER), None))
    jobs = tuple(job_of(exporter, target, options, stem) for exporter, target in wanted)
    check(jobs, options, keep_at)
    return Plan(jobs, keep_at)


def place(output: str, wanted: list[tuple[Exporter, str | None]], *, quiet: bool) -> None:
    """Give the file of an -o to the --export that still lacks one, or to a new export."""
    open_places = [
        index
        for index, (exporter, target) in enumerate(wanted)
        if target is None and exporter.suffixes
    ]
    fitting = [index for index in open_places if output.endswith(wanted[index][0].suffixes)]
    if fitting or open_places:
        index = (fitting or open_places)[0]
        wanted[index] = (wanted[index][0], output)
    else:
        exporter = for_suffix(output, on_broken=None if quiet else lambda error: say(str(error)))
        wanted.append((exporter, output))


def job_of(
    exporter: Exporter,
    target: str | None,
    options: Mapping[str, Mapping[str, object]],
    stem: str,
) -> Job:
    """A job with its target and options filled in. Raises UsageError."""
    if target is None and exporter.suffixes:
        target = stem + exporter.suffixes[0]
        if not is_trace(target):
            raise UsageError(
                f"{target} exists and does not look like a trace; choose a name with -o"
            )
    known = {row.name for row in exporter.options}
    shared = {k: v for k, v in options.get(EVERY_EXPORTER, {}).items() if k in known}
    own = {**shared, **options.get(exporter.name, {})}
    return Job(exporter, target, resolve_options(exporter, own))


def is_trace(path: str) -> bool:
    """Whether a file may be overwritten unasked: absent, empty, or one that an export wrote."""
    try:
        with open(path, "rb") as file:
            beginning = file.read(len(OWN_PAGE))
    except FileNotFoundError:
        return True
    except OSError:
        return True  # the check of the output says what is wrong
    return not beginning or beginning.startswith(TRACE_BEGINNINGS)


def check(
    jobs: Sequence[Job], options: Mapping[str, Mapping[str, object]], keep_at: str | None
) -> None:
    """Raise UsageError for what cannot be written, sent or kept."""
    names = {job.exporter.name for job in jobs}
    for exporter in options:
        if exporter not in names and exporter != EVERY_EXPORTER:
            raise UsageError(f"an option is given for exporter {exporter!r}, which is not used")
    targets = [os.path.realpath(job.target) for job in jobs if job.target is not None]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"two exports write to {target}; give each its own with NAME=FILE")
    for job in jobs:
        if job.target in ("-", "/dev/stdin", "/dev/stdout"):
            raise UsageError(f"cannot write to {job.target}: standard output is the program's")
        job.exporter.check(job.target, job.options)
    if keep_at is not None:
        check_keep(keep_at)


def check_keep(path: str) -> None:
    """Raise UsageError when a recording cannot be kept at `path`; an older recording may be."""
    if os.path.lexists(path) and not (
        os.path.isdir(path) and not os.path.islink(path) and read_manifest(path)
    ):
        raise UsageError(f"cannot keep the recording at {path}: that exists and is no recording")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot keep the recording at {path}: {folder} cannot be written")
