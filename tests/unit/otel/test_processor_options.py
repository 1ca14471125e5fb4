from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otrace.errors import ConfigError
from otrace.otel import OtraceSpanProcessor


@pytest.mark.parametrize("mode", ["always", "sampled", None])
def test_unsampled_ones_are_kept_in_front_of_another_processor_alone(mode: Any) -> None:
    """Refused before anything is recorded."""
    behind = None if mode is None else SimpleSpanProcessor(InMemorySpanExporter())
    with pytest.raises(ConfigError, match="keep_unsampled needs next="):
        OtraceSpanProcessor(behind, mode=mode or "recorder", keep_unsampled=True)
