"""Without a line of code: `opentelemetry-instrument` finds this by its entry point, `otrace`.

It adds a processor beside the service's own. It obeys OTEL_SDK_DISABLED here, and
OTEL_PYTHON_DISABLED_INSTRUMENTATIONS too when it is called by hand. Nothing in here raises.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from typing import Any

from opentelemetry import trace

from otrace.otel.processor import OtraceSpanProcessor

NAME = "otrace"
SLOW, MODE, RATIO = VARIABLES = ("OTRACE_OTEL_SLOW", "OTRACE_OTEL_MODE", "OTRACE_OTEL_RATIO")
logger = logging.getLogger("otrace")


class OtraceInstrumentor:
    """Adds an OtraceSpanProcessor to a tracer provider, the global one by default."""

    _processor: OtraceSpanProcessor | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """No library needs to be there."""
        return ()

    def instrument(self, **options: Any) -> None:
        """Add the processor; `options` are its own, and `tracer_provider`. Once is enough."""
        options.pop("skip_dep_check", None)
        provider: Any = options.pop("tracer_provider", None)
        if is_disabled() or OtraceInstrumentor._processor is not None:
            return
        try:
            provider = provider or trace.get_tracer_provider()
            if not hasattr(provider, "add_span_processor"):
                logger.warning("function calls are not captured: no tracer provider is set up")
                return
            processor = OtraceSpanProcessor(**{**from_environment(), **options})
            provider.add_span_processor(processor)
            OtraceInstrumentor._processor = processor
        except Exception as error:
            logger.warning("function calls are not captured: %s", error)

    def uninstrument(self, **_: Any) -> None:
        """Stop; the processor stays where it is and lets spans pass."""
        processor, OtraceInstrumentor._processor = OtraceInstrumentor._processor, None
        try:
            if processor is not None:
                processor.shutdown()
        except Exception as error:
            logger.warning("otrace did not end in order: %s", error)


def is_disabled() -> bool:
    """Whether the user has said no."""
    names = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or not {NAME, "*"}.isdisjoint(name.strip() for name in names)


def from_environment() -> dict[str, Any]:
    """The options in the variables; `slow` is seconds, `adaptive` or `off`. Raises ValueError."""
    found: dict[str, Any] = {}
    given = {name: os.environ.get(name, "").strip() for name in VARIABLES}
    if given[SLOW]:
        words: dict[str, str | None] = {"adaptive": "adaptive", "off": None}
        found["slow"] = words[given[SLOW]] if given[SLOW] in words else float(given[SLOW])
    if given[MODE]:
        found["mode"] = given[MODE]
    if given[RATIO]:
        found["ratio"] = float(given[RATIO])
    return found
