"""What exporters that write one file have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from otrace.errors import UsageError
from otrace.exporting import ExporterOption, check_output


def parse_link(text: str) -> str:
    """The address of a Jaeger page, without a slash at its end. Raises ValueError."""
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError("not an address: write it as http://localhost:16686")
    return text.rstrip("/")


JAEGER_OPTION = ExporterOption(
    "jaeger_url",
    parse_link,
    None,
    "Jaeger's page, such as http://localhost:16686, to link to.",
)


def link_of(options: Mapping[str, object]) -> str:
    """The address that spans link to, from the option or OTRACE_JAEGER_URL; empty for none.

    Raises UsageError.
    """
    given = options.get("jaeger_url")
    if given is not None:
        return str(given)
    variable = os.environ.get("OTRACE_JAEGER_URL", "")
    try:
        return parse_link(variable) if variable else ""
    except ValueError as error:
        raise UsageError(f"OTRACE_JAEGER_URL is {variable!r}: {error}") from None


class FileExporter:
    """The members of an exporter with suffixes that are the same for each."""

    options: tuple[ExporterOption, ...] = ()

    def check(self, target: str | None, options: Mapping[str, object]) -> None:
        """Raise UsageError when the file cannot be written."""
        check_output(needed(target))
        link_of(options)


def needed(target: str | None) -> str:
    """The target, which exporters with suffixes always have."""
    assert target is not None
    return target
