"""pytest's plug-in: its options, and nothing else until one of them is given.

otrace.pytest_plugin.recording, imported then, does the work. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_FOLDER = "otrace-traces"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("otrace", "recording every call with otrace")
    add: Callable[..., None] = group.addoption
    add("--otrace", action="store_true", help="Record the session, with a span for each test.")
    add(
        "--otrace-failed",
        action="store_true",
        help="Record test by test; keep the traces of those that fail.",
    )
    add(
        "--otrace-slow",
        metavar="DURATION",
        help="Record test by test; keep the traces of those that take this long, such as 1s.",
    )
    add(
        "--otrace-export",
        action="append",
        metavar="NAME[=FILE]",
        help="How to export: chrome, perfetto, otlp, ... (repeatable). [default: chrome]",
    )
    add(
        "--otrace-dir",
        metavar="DIR",
        default=DEFAULT_FOLDER,
        help=f"Where trace files go. [default: {DEFAULT_FOLDER}]",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set the recording up, if it is asked for. Raises pytest.UsageError."""
    option = config.option
    if option.otrace or option.otrace_failed or option.otrace_slow is not None:
        from otrace.pytest_plugin.recording import configure

        configure(config)
    elif option.otrace_export:
        raise pytest.UsageError(
            "--otrace-export needs --otrace, --otrace-failed or --otrace-slow: nothing is recorded"
        )
