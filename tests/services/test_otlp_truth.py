"""The tree in a real Jaeger is what the reference tracer saw, call by call."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from jaeger import Jaeger

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle import compare, corpus, from_otlp
from oracle.corpus import Program

# A span has no word for a yield, and one left by a passing exception says so in an attribute.
FIELDS = tuple(field for field in compare.FIELDS if field != "ended")
UNNAMED = re.compile(r"thread [0-9]+")
MOST = ("--max-spans", "1000000", "--otlp-max-depth", "1000")
# Every program is compared by the files that otrace writes; here one of each kind is.
NAMES = [
    "abstract_classes",
    "callbacks_regex",
    "callbacks_sorted",
    "classes",
    "closures",
    "comprehensions",
    "context_managers",
    "dataclasses_enums",
    "decorators",
    "deep_recursion",
    "exceptions_c",
    "exceptions_python",
    "exec_eval",
    "exit_status",
    "functools_tools",
    "generators_closed",
    "generators_sending",
    "imports_inside",
    "json_pure",
    "metaclasses",
    "mutual_recursion",
    "odd_names",
    "recursion",
    "threads_daemon",
    "threads_named",
    "threads_pool",
    "threads_raw",
    "try_finally",
    "uncaught_exception",
]
PROGRAMS = [program for program in corpus.PROGRAMS if program.name in NAMES]


def sent(errors: str) -> tuple[str, int]:
    """Trace id and number of spans, as otrace tells them."""
    found = re.search(r"([0-9,]+) spans in trace ([0-9a-f]{32})", errors)
    assert found is not None, errors
    return found[2], int(found[1].replace(",", ""))


def fetch(jaeger: Jaeger, errors: str) -> dict[str, Any]:
    """The whole trace of an export in OTLP's JSON, checked for Jaeger's warnings."""
    trace_id, count = sent(errors)
    shown = jaeger.get_trace(trace_id, spans=count)
    assert len(shown["spans"]) == count
    assert [span["warnings"] for span in shown["spans"] if span.get("warnings")] == []
    answer = requests.get(f"{jaeger.query}/api/v3/traces/{trace_id}", timeout=60)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def in_words_of_the_truth(document: dict[str, Any]) -> dict[str, Any]:
    """An exception on every call that one left, and no names for threads that have none."""
    for span in from_otlp.spans(document):
        passing = from_otlp.attributes(span).get("otrace.exception")
        if passing is not None:
            entry = {"key": "exception.type", "value": {"stringValue": passing}}
            told = [] if passing == "unknown" else [entry]
            event = {"name": "exception", "attributes": told}
            span["events"] = [*span.get("events", ()), event]
        for entry in span.get("attributes", ()):
            if entry["key"] == "thread.name" and UNNAMED.fullmatch(entry["value"]["stringValue"]):
                entry["value"]["stringValue"] = ""
    return document


def export(jaeger: Jaeger, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otrace", "run", "--export", "otlp", *words],
        cwd=folder,
        env={**corpus.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=corpus.TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_tree_is_the_truth(jaeger: Jaeger, tmp_path: Path, program: Program) -> None:
    truth = corpus.trace(program.path, tmp_path / "truth.json")
    done = export(jaeger, tmp_path, *MOST, str(program.path))
    assert (done.returncode, done.stdout) == (program.status, truth.stdout), done.stderr
    tracks = from_otlp.load(in_words_of_the_truth(fetch(jaeger, done.stderr)))
    reference = compare.load_reference(tmp_path / "truth.json")
    compare.assert_same(reference, tracks, imports=program.imports, fields=FIELDS)
