"""Which span is current: the recorder looks where OpenTelemetry keeps it."""

from __future__ import annotations

import threading
from contextvars import ContextVar

from opentelemetry import context
from opentelemetry.trace import propagation

from otrace._events import changes_context, watch_context

_lock = threading.Lock()
_watchers = 0
_wrapped: object = None


def watch() -> bool:
    """Note from now on which span is current. False when it is not in a context variable."""
    global _watchers, _wrapped
    runtime = getattr(context, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime, "_current_context", None)
    key = getattr(propagation, "_SPAN_KEY", None)
    if runtime is None or not isinstance(variable, ContextVar):
        return False
    with _lock:
        if _wrapped is not runtime:
            runtime.attach = changes_context(runtime.attach)
            runtime.detach = changes_context(runtime.detach)
            _wrapped = runtime
        watched = watch_context(variable, key)
        _watchers += watched
    return watched


def leave() -> None:
    """The opposite, when nobody else watches."""
    global _watchers
    with _lock:
        _watchers = max(0, _watchers - 1)
        if _watchers == 0:
            watch_context(None, None)
