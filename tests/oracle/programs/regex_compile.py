"""re's own compiler, in pure Python: many calls of a real library."""

import re

PATTERNS = (
    r"^oracle(?P<year>\d{4})-(?P<month>\d\d)$",
    r"oracle(a|b|cd)*?[^\s\w]+(?=end)",
    r"oracle(?:x{2,5}|\bword\b)(?<!no)",
    r"oracle[a-zA-Z_\-][\d.]*|\u00e9+",
)

for pattern in PATTERNS:
    compiled = re.compile(pattern, re.IGNORECASE)
    print(compiled.groups, compiled.flags, compiled.search("oracle2024-05"))
