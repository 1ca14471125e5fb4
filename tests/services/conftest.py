"""Fixtures for tests against real services: `jaeger`, `perfetto`, and `pages` in a browser.

A test that asks for a service that is not on this machine is skipped, and says what to install.
With OTRACE_REQUIRE_SERVICES=1 it fails instead, so that CI cannot pass by skipping.

All live as long as this folder's tests run, not the whole session.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the harness: plain modules beside the tests

import chrome_tracing
import devtools as devtools_harness
import jaeger as jaeger_harness
import pages as pages_harness
import perfetto_ui
import speedscope as speedscope_harness
from devtools import DevTools
from jaeger import Jaeger
from pages import Pages
from perfetto_ui import PerfettoUI
from speedscope import Speedscope


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.services)


def _need(missing: str | None) -> None:
    if missing is None:
        return
    if os.environ.get("OTRACE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"OTRACE_REQUIRE_SERVICES=1, but {missing}", pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="package")
def jaeger() -> Iterator[Jaeger]:
    """A real Jaeger: endpoints `otlp_http`, `otlp_grpc`, `query`; get_trace(), find_traces()."""
    _need(jaeger_harness.missing_part())
    with jaeger_harness.run_jaeger() as running:
        yield running


@pytest.fixture(scope="package")
def perfetto() -> Iterator[PerfettoUI]:
    """The real Perfetto UI in Chromium: open(path) or load(path), then query(sql), stats()."""
    _need(perfetto_ui.missing_part())
    with perfetto_ui.run_perfetto_ui() as running:
        yield running


@pytest.fixture(scope="package")
def pages() -> Iterator[Pages]:
    """A real Chromium for pages that stand alone: visit(path, act)."""
    _need(perfetto_ui.missing_part())
    with pages_harness.run_pages() as running:
        yield running


@pytest.fixture(scope="package")
def devtools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevTools]:
    """The Performance panel's own parser: parse(rows), markers()."""
    _need(perfetto_ui.missing_part())
    with devtools_harness.run_devtools(tmp_path_factory.mktemp("devtools")) as running:
        yield running


@pytest.fixture(scope="package")
def speedscope() -> Iterator[Speedscope]:
    """Speedscope's own page in Chromium: visit(profile, act)."""
    _need(perfetto_ui.missing_part() or speedscope_harness.missing_part())
    with speedscope_harness.run_speedscope() as running:
        yield running


@pytest.fixture(scope="package")
def ui_folder() -> Path:
    """The folder of a real Perfetto UI."""
    _need(perfetto_ui.missing_part())
    folder = perfetto_ui.find_ui()
    assert folder is not None
    return folder


@pytest.fixture(scope="package")
def notebooks() -> None:
    """What runs notebooks is installed."""
    missing = [name for name in ("nbclient", "ipykernel") if importlib.util.find_spec(name) is None]
    words = f"{' and '.join(missing)} missing: pip install -r tests/services/requirements.txt"
    _need(words if missing else None)


@pytest.fixture(scope="package")
def tracing_page() -> None:
    """What carries chrome://tracing is installed."""
    _need(chrome_tracing.missing_part())
