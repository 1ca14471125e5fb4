"""What chrome://tracing makes of the Chrome files that otrace writes."""

from __future__ import annotations

from typing import Any

import chrome_tracing
import pytest
from oracle import compare, corpus

NAMES = {
    "async_gather",
    "exceptions_c",
    "generators_sending",
    "odd_names",
    "threads_named",
}
PROGRAMS = [program for program in corpus.PROGRAMS if program.name in NAMES]
EVENTS = """
import threading

import otrace

def work():
    with otrace.log_event("load </script> größe 😀", {"rows": 3}):
        otrace.log_instant("miss", key="k")

otrace.log_counter("queue", depth=5, waiting=2)
otrace.log_counter("queue", depth=6, waiting=1.5)
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, tracing_page: None) -> dict[str, Any]:
    """What the page shows of each program, and where the reference tracer's files are."""
    folder = tmp_path_factory.mktemp("tracing")
    (folder / "events.py").write_text(EVENTS, encoding="utf-8")
    programs = {program.name: program.path for program in PROGRAMS}
    for name, path in {**programs, "events": folder / "events.py"}.items():
        done = corpus.otrace_run(folder, "-o", f"{name}.json", str(path))
        assert (folder / f"{name}.json").exists(), done.stderr
    for program in PROGRAMS:
        corpus.trace(program.path, folder / f"{program.name}.truth")
    names = [*programs, "events"]
    models = chrome_tracing.open_files([folder / f"{name}.json" for name in names])
    return {"folder": folder, **dict(zip(names, models, strict=True))}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_page_shows_what_happened(shown: dict[str, Any], program: corpus.Program) -> None:
    model = shown[program.name]
    assert model["warnings"] == []
    truth = compare.load_reference(shown["folder"] / f"{program.name}.truth")
    compare.assert_same(truth, chrome_tracing.tracks_of(model), imports=program.imports)


def test_events_instants_and_counters(shown: dict[str, Any]) -> None:
    model = shown["events"]
    assert model["warnings"] == []
    (worker,) = (thread for thread in model["threads"] if thread["name"] == "worker")
    rows = {row["name"]: row for row in worker["slices"]}
    work, load, miss = (rows[name] for name in ("__main__.work", "load </script> größe 😀", "miss"))
    assert (load["category"], load["args"]) == ("event", {"rows": 3})
    assert (miss["category"], miss["args"]) == ("instant", {"key": "k"})
    assert work["depth"] < load["depth"] < miss["depth"]
    assert work["start"] <= load["start"] <= miss["start"] <= load["start"] + load["duration"]
    (queue,) = model["counters"]
    assert queue == {"name": "queue", "series": [["depth", [5, 6]], ["waiting", [2, 1.5]]]}
