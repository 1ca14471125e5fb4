"""What exporters that write one file have in common."""

from __future__ import annotations

from collections.abc import Mapping

from otrace.exporting import ExporterOption, check_output


class FileExporter:
    """The members of an exporter with suffixes that are the same for each."""

    options: tuple[ExporterOption, ...] = ()

    def check(self, target: str | None, options: Mapping[str, object]) -> None:
        """Raise UsageError when the file cannot be written."""
        check_output(needed(target))


def needed(target: str | None) -> str:
    """The target, which exporters with suffixes always have."""
    assert target is not None
    return target
