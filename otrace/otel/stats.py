"""Counters of the bridge in this process."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields


@dataclass
class Counters:
    """What the bridge has done since the process started."""

    captured: int = 0
    """Local traces whose calls were read and handed on."""
    suppressed: int = 0
    """Triggers that came too often for their root's name."""
    skipped: int = 0
    """Triggers that found too many others waiting, or whose calls could not be read."""
    encoded: int = 0
    """Spans of calls that were read: each is sent or dropped, or still waits."""
    sent: int = 0
    """Spans of calls that the receiver accepted."""
    dropped: int = 0
    """Spans of calls that were not sent: no room in the queue, refused, or at the end."""
    retried: int = 0
    """Requests that were tried again."""
    released: int = 0
    """Spans that were held too long or too many, and went on before their root ended."""


_lock = threading.Lock()
_counters = Counters()


def count(name: str, number: int = 1) -> None:
    """Add to a counter."""
    with _lock:
        setattr(_counters, name, getattr(_counters, name) + number)


def stats() -> dict[str, int]:
    """The counters: captured, suppressed, skipped, encoded, sent, dropped, retried, released."""
    with _lock:
        return asdict(_counters)


def reset() -> None:
    """In a forked child: what the parent did is not the child's."""
    global _lock
    _lock = threading.Lock()
    for field in fields(_counters):
        setattr(_counters, field.name, 0)
