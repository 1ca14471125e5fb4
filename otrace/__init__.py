"""otrace: every call of a Python program on a nanosecond timeline.

`record` or `start` and `stop` record this process; `log_event`, `log_instant`, `log_counter` and
`trace` add what only the program knows; `snapshot` exports a recording that goes on.

PYTEST_DONT_REWRITE: under `otrace run pytest` it is loaded before pytest, which would warn of that.
"""

from otrace._events import Event, log_counter, log_event, log_instant
from otrace._version import __version__
from otrace.instrument import pause, trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otrace.recorder import record, snapshot, start, stop
    from otrace.recording import Recording

__all__ = [
    "Event",
    "Recording",
    "__version__",
    "log_counter",
    "log_event",
    "log_instant",
    "pause",
    "record",
    "snapshot",
    "start",
    "stop",
    "trace",
]

_LATE = {
    "record": "otrace.recorder",
    "snapshot": "otrace.recorder",
    "load_ipython_extension": "otrace.notebook",
    "start": "otrace.recorder",
    "stop": "otrace.recorder",
    "Recording": "otrace.recording",
}


def __getattr__(name: str) -> object:
    """What a traced program need not load until it asks for it."""
    if name not in _LATE:
        raise AttributeError(f"module 'otrace' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_LATE[name]), name)
    globals()[name] = value
    return value
