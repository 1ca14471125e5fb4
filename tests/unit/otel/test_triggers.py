from __future__ import annotations

import pytest

from otrace.errors import ConfigError
from otrace.otel.triggers import FEWEST, NAMES_MAX, REMEMBERED, Adaptive, RateLimit, slow_rule


def test_seconds() -> None:
    rule = slow_rule(0.25)
    assert [rule("any", seconds) for seconds in (0.1, 0.25, 0.26)] == [False, False, True]
    assert not slow_rule(None)("any", 1e9)


def test_a_table_takes_the_exact_name_then_the_first_glob() -> None:
    rule = slow_rule({"GET /report": 5, "GET *": 0.1, "*": 1})
    assert not rule("GET /report", 4)
    assert rule("GET /report", 5.1)
    assert rule("GET /other", 0.2)
    assert rule("GET /other", 0.2)  # known by now
    assert not rule("POST /other", 0.2)
    assert not slow_rule({"GET *": 0.1})("POST /other", 100)


@pytest.mark.parametrize("slow", [-1, "often", True, {"GET /": "1"}, float("nan")])
def test_what_is_no_time_is_named(slow: object) -> None:
    with pytest.raises(ConfigError, match="slow"):
        slow_rule(slow)  # type: ignore[arg-type]


def test_adaptive_knows_each_name_apart() -> None:
    rule = Adaptive()
    for _ in range(FEWEST):
        assert not rule("quick", 0.01)  # too few are known
        assert not rule("slow", 1.0)
    assert rule("quick", 0.02)
    assert not rule("slow", 0.5)
    assert rule("slow", 1.5)


def test_adaptive_follows_what_becomes_usual() -> None:
    rule = Adaptive()
    for _ in range(FEWEST):
        rule("name", 0.01)
    assert rule("name", 1.0)
    for _ in range(REMEMBERED):
        rule("name", 1.0)
    assert not rule("name", 1.0)


def test_adaptive_forgets_names() -> None:
    rule = Adaptive()
    for number in range(2 * NAMES_MAX):
        rule(f"GET /{number}", 0.1)
    assert len(rule._names) == NAMES_MAX


def test_the_rate_limit_counts_what_it_suppresses() -> None:
    now = [0.0]
    limit = RateLimit(6, lambda: now[0])
    assert [limit.take("a") for _ in range(8)] == [0, 0, 0, 0, 0, 0, None, None]
    assert limit.take("b") == 0
    now[0] = 10.0
    assert limit.take("a") == 2
    assert limit.take("a") is None
    now[0] = 1e6
    assert [limit.take("a") for _ in range(7)] == [1, 0, 0, 0, 0, 0, None]
