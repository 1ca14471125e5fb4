"""re.compile without its cache."""

import re

from timing import measure

PATTERNS = [
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?:T(\d+):(\d+))?",
    r"^(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9]+)*)@(?:[a-z0-9-]+\.)+[a-z]{2,}$",
    r"\s*(?:(\"(?:[^\"\\]|\\.)*\")|('(?:[^'\\]|\\.)*')|([^\s]+))\s*",
    r"(a|b|c)*?(?=foo|bar)(?!baz)[^\W\d_]+\b",
]


def work() -> int:
    groups = 0
    for _ in range(150):
        re.purge()
        groups += sum(re.compile(pattern).groups for pattern in PATTERNS)
    return groups


measure(work)
