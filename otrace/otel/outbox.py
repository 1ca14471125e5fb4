"""What waits to be sent: bounded in bytes, the oldest dropped; and the thread that sends it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from otrace.instrument import pause
from otrace.otel.quiet import instrumentation_suppressed
from otrace.otel.stats import count

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from otrace.otel.capture import Capture

LOG_EVERY_S = 60.0
logger = logging.getLogger("otrace")


class StoppingError(Exception):
    """The process ends: do not try again."""


@dataclass(frozen=True)
class Parcel:
    """The calls of one local trace, to be sent with the resource of its spans."""

    capture: Capture
    resource: Resource | None
    sampled: bool

    @property
    def size(self) -> int:
        """Bytes, about."""
        return 1000 + sum(len(block.data) for block in self.capture.blocks)


class Way(Protocol):
    """How parcels leave."""

    def send(self, parcel: Parcel, stopping: threading.Event) -> None:
        """Send it, or raise what stands in the way; StoppingError when `stopping` is set."""

    def forked(self) -> None:
        """In a forked child: forget connections, without a word to the other side."""

    def close(self) -> None:
        """Let go of connections."""


class Outbox:
    """Parcels on their way, once it is open. `put` never waits."""

    def __init__(self, way: Way, max_bytes: int) -> None:
        self._way = way
        self._max_bytes = max_bytes
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._sending: Parcel | None = None
        self._given_up = False  # the one that is being sent counts as dropped already
        self._condition = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = RareLog()

    def open(self) -> bool:
        """Start the thread, if it is not there; False when no thread can be had any more."""
        with self._condition:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="otrace-send", daemon=True)
                with suppress(RuntimeError):  # the interpreter ends
                    thread.start()
                    self._thread = thread
            return self._thread is not None

    def put(self, parcel: Parcel) -> None:
        """Add a parcel; the oldest go when there is no room."""
        count("encoded", parcel.capture.spans)
        with self._condition:
            self._parcels.append(parcel)
            self._bytes += parcel.size
            while self._bytes > self._max_bytes or (self._stopping.is_set() and self._parcels):
                self._drop(self._parcels.popleft())
            self._condition.notify_all()

    def flush(self, deadline: float) -> bool:
        """Wait until all is sent; False when `deadline` (time.monotonic) came first."""
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._parcels and self._sending is None,
                timeout=max(0.0, deadline - time.monotonic()),
            )

    def close(self, deadline: float) -> None:
        """Send what can be sent until the deadline, drop the rest, end the thread."""
        self.flush(deadline)
        with self._condition:
            self._stopping.set()
            while self._parcels:
                self._drop(self._parcels.popleft())
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(max(0.1, deadline - time.monotonic()))
            if not self._thread.is_alive():
                self._way.close()
                return
            with self._condition:
                self._given_up = True
                if self._sending is not None:
                    count("dropped", self._sending.capture.spans)

    def _drop(self, parcel: Parcel) -> None:
        self._bytes -= parcel.size
        count("dropped", parcel.capture.spans)

    def _run(self) -> None:
        with pause(), instrumentation_suppressed():
            while (parcel := self._next()) is not None:
                spans, outcome = parcel.capture.spans, self._send(parcel)
                with self._condition:
                    if not self._given_up:
                        count(outcome, spans)
                    self._sending = None
                    self._condition.notify_all()

    def _next(self) -> Parcel | None:
        with self._condition:
            self._condition.wait_for(lambda: self._parcels or self._stopping.is_set())
            if not self._parcels:
                return None
            parcel = self._parcels.popleft()
            self._bytes -= parcel.size
            self._sending = parcel
            return parcel

    def _send(self, parcel: Parcel) -> str:
        """Returns which counter its spans belong to."""
        try:
            self._way.send(parcel, self._stopping)
        except StoppingError:
            return "dropped"
        except Exception as error:
            self._log(f"captured calls were not sent: {error}")
            return "dropped"
        return "sent"


class RareLog:
    """One warning a minute at most; tells how many more there were."""

    def __init__(self) -> None:
        self._next_s = 0.0
        self._unsaid = 0

    def __call__(self, message: str) -> None:
        """Log it, or count it."""
        now = time.monotonic()
        if now < self._next_s:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the last such line)" if self._unsaid else ""
        self._next_s, self._unsaid = now + LOG_EVERY_S, 0
        logger.warning("%s%s", message, more)
