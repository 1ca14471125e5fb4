"""Tests of CPython that come out differently under `otrace run`, each with its reason.

docs/transparency.md tells the same to users. "any tool" was tried: the same tests differ with a
tool of `sys.monitoring` (on 3.11: a profile function) that does nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True)
class Explained:
    """Tests of one module, and why they differ."""

    module: str
    test: str
    """A glob of their names."""
    reason: str
    since: Version = (3, 11)
    until: Version = (3, 99)


LATER, OLD = (3, 12), (3, 11)
SET_TRACE = "any tool: pdb.set_trace() in instrumented code stops at the next line, as before 3.13"
SPECIALIZED = "any tool: instrumented code is not specialized"
JIT = "any tool: instrumented code is not compiled"
STATELESS = "any tool: instrumented code is not passed between interpreters as it is"

EXPLAINED = [
    Explained(
        "test_monitoring", "*", "counts and names the tools in use, and uses ids 3 to 5", LATER
    ),
    Explained("test_pdb", "*", SET_TRACE, since=(3, 13)),
    Explained("test_doctest", "*test_pdb_set_trace*", SET_TRACE, since=(3, 13)),
    Explained("test_opcache", "*", SPECIALIZED, LATER),
    Explained("test_sys", "*.TestSysJIT.*", JIT, since=(3, 14)),
    Explained("test_code", "*.test_stateless", STATELESS, since=(3, 14)),
    Explained("test_code", "", STATELESS, since=(3, 14)),  # its subtests have no name
    Explained("test_dis", "*_specialize", SPECIALIZED),
    Explained("test_dis", "*.test_loop_quicken", SPECIALIZED),
    Explained("test_dis", "*.test_super_instructions", SPECIALIZED),
    Explained(
        "test_tracemalloc",
        "*.test_get_traced_memory",
        "counts the memory of one call exactly; a function's first call keeps 24 bytes for otrace",
    ),
    Explained(
        "test_frame",
        "*.test_sneaky_frame_object",
        "any profile function: frame objects are made where a plain run makes none",
        until=OLD,
    ),
    Explained(
        "test_support",
        "*.test_recursion",
        "any profile function: C calls are not specialized and count as a level of recursion",
        until=OLD,
    ),
    Explained(
        "test_capi",
        "*.test_set_nomemory",
        "any tool: an event takes an allocation of the interpreter, which the test makes fail",
        since=LATER,
    ),
    Explained(
        "test_capi",
        "*",
        "any profile function: pending calls from many threads at once may never end in 3.11",
        until=OLD,
    ),
]
