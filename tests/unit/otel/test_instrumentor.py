from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest

from otrace.otel import OtraceInstrumentor, instrumentor


class Provider:
    def __init__(self) -> None:
        self.processors: list[object] = []

    def add_span_processor(self, processor: object) -> None:
        self.processors.append(processor)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of the processors that were made; none is, really."""
    found: list[dict[str, Any]] = []
    for name in ("OTEL_SDK_DISABLED", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "OTRACE_OTEL_SLOW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(OtraceInstrumentor, "_processor", None)
    monkeypatch.setattr(
        instrumentor, "OtraceSpanProcessor", lambda **options: found.append(options) or found
    )
    return found


def test_it_is_found_by_its_entry_point() -> None:
    [entry] = entry_points(group="opentelemetry_instrumentor", name="otrace")
    assert entry.load() is OtraceInstrumentor


def test_it_adds_one_processor(made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    monkeypatch.setenv("OTRACE_OTEL_SLOW", "1.5")
    for _ in range(2):
        OtraceInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True, ratio=1)
    assert made == [{"slow": 1.5, "ratio": 1}]
    assert len(provider.processors) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "flask, otrace"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*"),
    ],
)
def test_it_can_be_told_to_stay_away(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    OtraceInstrumentor().instrument(tracer_provider=Provider())
    assert made == []


def test_it_never_raises(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTRACE_OTEL_SLOW", "often")
    OtraceInstrumentor().instrument(tracer_provider=Provider())
    OtraceInstrumentor().instrument(tracer_provider=object())
    OtraceInstrumentor().uninstrument()
    assert len(caplog.records) == 2
    assert made == []
