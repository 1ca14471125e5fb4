"""The bridge's own threads make no spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context

_KEYS = ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY")


@contextmanager
def instrumentation_suppressed() -> Iterator[None]:
    """Instrumentations of libraries leave the body alone."""
    values = context.get_current()
    for name in _KEYS:
        key = getattr(context, name, None)
        if key is not None:
            values = context.set_value(key, True, values)
    token = context.attach(values)
    try:
        yield
    finally:
        context.detach(token)
