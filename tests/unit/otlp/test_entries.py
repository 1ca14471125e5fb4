"""The table of functions that handle requests: its names are those of the packages."""

from __future__ import annotations

import importlib
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from otrace_exporters.otlp.entries import CONSUMER, CONSUMERS, SERVER, SERVERS, Entries

UNKNOWN = SimpleNamespace(kind="unknown", name="")


def process(*names: str) -> SimpleNamespace:
    functions = [UNKNOWN, *(SimpleNamespace(kind="python", name=name) for name in names)]
    return SimpleNamespace(path="1-1.segment", functions=functions)


def is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True


def code_of(name: str) -> CodeType:
    """The code of a function by its qualified name with its module."""
    outer, _, inner = name.partition(".<locals>.")
    module = outer.rpartition(".")[0]
    while not is_module(module):
        module = module.rpartition(".")[0]
    found = importlib.import_module(module)
    function: Any = found
    for part in outer.removeprefix(f"{module}.").split("."):
        function = getattr(function, part)
    code: CodeType = function.__code__
    if inner:
        (code,) = (c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == inner)
    assert f"{module}.{code.co_qualname}" == name
    return code


@pytest.mark.parametrize("name", [*SERVERS, *CONSUMERS])
def test_the_names_are_those_of_the_packages(name: str) -> None:
    pytest.importorskip(name.partition(".")[0])
    assert code_of(name).co_firstlineno > 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("__main__.Handler.do_GET", SERVER),
        ("xmlrpc.server.SimpleXMLRPCRequestHandler.do_POST", SERVER),
        (SERVERS[0], SERVER),
        (CONSUMERS[0], CONSUMER),
        ("uvicorn.protocols.http.h11_impl.RequestResponseCycle.run_asgi", SERVER),
        ("do_GET", 0),
        ("__main__.Handler.do_GETTING", 0),
        ("__main__.Handler.do_GET.<locals>.inner", 0),
        ("jobs.report.handle", SERVER),
        ("jobs.handle_all", 0),
    ],
)
def test_kinds(name: str, kind: int) -> None:
    kinds = Entries(["jobs.*.handle"]).kinds_of(process("f", name))
    assert kinds == (bytes([0, 0, kind]) if kind else b"")


def test_names_that_come_later() -> None:
    entries = Entries()
    assert entries.kinds_of(process("f")) == b""
    being_written = process("f", "later", "a.do_GET")
    being_written.functions[2] = UNKNOWN
    assert entries.kinds_of(being_written) == bytes([0, 0, 0, SERVER])
    assert entries.kinds_of(process("f", "a.do_PUT", "a.do_GET")) == bytes([0, 0, SERVER, SERVER])
