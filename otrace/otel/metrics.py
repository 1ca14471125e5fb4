"""The counters as OpenTelemetry metrics: `otrace.captured`, `otrace.sent`, and so on.

They go wherever the service's own meter provider sends metrics; without one, nowhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import fields

from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from otrace import __version__
from otrace.otel.stats import Counters, stats

TRACES, REQUESTS = ("captured", "suppressed", "skipped"), ("retried",)


@functools.cache
def offer() -> None:
    """Make the instruments, once; the meter provider may be set up later."""
    meter = get_meter("otrace", __version__)
    for field in fields(Counters):
        name = field.name
        unit = "{trace}" if name in TRACES else "{request}" if name in REQUESTS else "{span}"
        meter.create_observable_counter(f"otrace.{name}", [_reader(name)], unit)


def _reader(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: [Observation(stats()[name])]
