"""When a local trace is worth keeping: slow, failed, and not too many of one kind."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Protocol

from otrace.errors import ConfigError

NAMES_MAX = 1000  # names are chosen by the program, and some put an id into them
ADAPTIVE = "adaptive"
REMEMBERED = 500
FEWEST = 30
PERCENTILE = 0.99


class SlowRule(Protocol):
    """Decides whether a root was slow."""

    def __call__(self, name: str, duration_s: float) -> bool:
        """Whether a root of this name took too long."""


def slow_rule(slow: float | Mapping[str, float] | str | None) -> SlowRule:
    """The rule for `slow=`: seconds, seconds by root name (globs too), "adaptive", None: never.

    Raises ConfigError.
    """
    if slow is None:
        return lambda name, duration_s: False
    if slow == ADAPTIVE:
        return Adaptive()
    if isinstance(slow, Mapping):
        for name, seconds in slow.items():
            check_seconds(seconds, f"slow[{name!r}]")
        return Table(slow)
    if isinstance(slow, str):
        raise ConfigError(f"slow is {slow!r}: it takes seconds, a table of them, or 'adaptive'")
    limit = check_seconds(slow, "slow")
    return lambda name, duration_s: duration_s > limit


def check_seconds(value: object, name: str) -> float:
    """A number of seconds. Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigError(f"{name} is {value!r}: it takes seconds, such as 0.25")
    return float(value)


class Table:
    """Seconds by name: an exact name first, then the first glob that matches, else never."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = dict(seconds)
        self._known: dict[str, float | None] = {}

    def __call__(self, name: str, duration_s: float) -> bool:
        """Whether it took longer than its row says."""
        limit = self._known.get(name, -1.0)
        if limit == -1.0:
            limit = self._find(name)
        return limit is not None and duration_s > limit

    def _find(self, name: str) -> float | None:
        limit = self._seconds.get(name)
        if limit is None:
            found = (s for pattern, s in self._seconds.items() if fnmatchcase(name, pattern))
            limit = next(found, None)
        if len(self._known) < NAMES_MAX:
            self._known[name] = limit
        return limit


class Durations:
    """The latest durations of one name, and the same sorted."""

    def __init__(self) -> None:
        self.latest: deque[float] = deque()
        self.sorted: list[float] = []

    def add(self, duration_s: float) -> None:
        """Remember one, forget the oldest."""
        if len(self.latest) == REMEMBERED:
            oldest = self.latest.popleft()
            del self.sorted[bisect_left(self.sorted, oldest)]
        self.latest.append(duration_s)
        insort(self.sorted, duration_s)

    def limit(self) -> float | None:
        """The percentile; None while too few are known."""
        count = len(self.sorted)
        return None if count < FEWEST else self.sorted[min(count - 1, int(count * PERCENTILE))]


class Adaptive:
    """Slower than nearly all of the latest of the same name. Names seldom seen are forgotten."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, Durations] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, name: str, duration_s: float) -> bool:
        """Whether it is above the percentile of those before it."""
        with self._lock:
            durations = self._names.get(name)
            if durations is None:
                durations = self._names[name] = Durations()
                if len(self._names) > NAMES_MAX:
                    self._names.popitem(last=False)
            else:
                self._names.move_to_end(name)
            limit = durations.limit()
            durations.add(duration_s)
        return limit is not None and duration_s > limit


class RateLimit:
    """At most so many a minute of each name; as many at once."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = max(1.0, per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._names: OrderedDict[str, list[float]] = OrderedDict()  # tokens, when, suppressed
        self._lock = threading.Lock()

    def take(self, name: str) -> int | None:
        """None: too many. Else how many of this name were suppressed since the last one."""
        now = self._clock()
        with self._lock:
            state = self._names.setdefault(name, [self._most, now, 0.0])
            self._names.move_to_end(name)
            if len(self._names) > NAMES_MAX:
                self._names.popitem(last=False)
            state[0] = min(self._most, state[0] + (now - state[1]) * self._per_second)
            state[1] = now
            if state[0] < 1:
                state[2] += 1
                return None
            state[0] -= 1
            suppressed, state[2] = int(state[2]), 0.0
            return suppressed
