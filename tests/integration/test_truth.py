"""What the product shows of each program is what the reference tracer saw, call by call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from oracle import compare, corpus, from_chrome, from_perfetto
from oracle.compare import Track
from oracle.corpus import Program, otrace_run

LOADERS: dict[str, Callable[[Path], list[Track]]] = {
    "t.json": from_chrome.load,
    "t.pftrace": from_perfetto.load,
}
EXPORTS = ("--export", "chrome=t.json", "--export", "perfetto=t.pftrace")


@dataclass(frozen=True)
class Run:
    """One program, run once under each tracer."""

    truth: list[Track]
    truth_output: str
    folder: Path
    status: int
    output: str
    errors: str


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Run a program under the reference and under the product; the outputs are kept in memory."""
    runs: dict[tuple[str, ...], Run] = {}

    def traced(program: Program, *options: str) -> Run:
        key = (program.name, *options)
        if key not in runs:
            folder = tmp_path_factory.mktemp(program.name)
            truth = corpus.trace(program.path, folder / "truth.json", *options)
            done = otrace_run(folder, *options, *EXPORTS, str(program.path))
            runs[key] = Run(
                compare.load_reference(folder / "truth.json"),
                truth.stdout,
                folder,
                done.returncode,
                done.stdout,
                done.stderr,
            )
        return runs[key]

    return traced


def check(run: Run, program: Program, output: str) -> None:
    assert (run.status, run.output) == (program.status, run.truth_output), run.errors
    path = run.folder / output
    assert path.exists(), run.errors
    compare.assert_same(run.truth, LOADERS[output](path), imports=program.imports)


@pytest.mark.parametrize("output", LOADERS)
@pytest.mark.parametrize("program", corpus.PROGRAMS, ids=lambda program: program.name)
def test_every_call_is_shown(traced: Callable[..., Run], program: Program, output: str) -> None:
    check(traced(program), program, output)


@pytest.mark.parametrize("output", LOADERS)
@pytest.mark.parametrize("name", ["callbacks_sorted", "json_pure", "threads_named"])
def test_every_python_call_is_shown_without_c_calls(
    traced: Callable[..., Run], name: str, output: str
) -> None:
    (program,) = (program for program in corpus.PROGRAMS if program.name == name)
    run = traced(program, "--no-c-calls")
    assert all(call.kind == "python" for track in run.truth for call in track.calls)
    check(run, program, output)


def test_a_caught_recursion_error_leaves_a_whole_tree(tmp_path: Path) -> None:
    """By hand, since the limit is reached in the reference's own callback."""
    (program,) = (program for program in corpus.ALL if program.name == "recursion_error")
    done = otrace_run(tmp_path, "--no-c-calls", *EXPORTS, str(program.path))
    assert (done.returncode, done.stdout) == (0, "RecursionError still fine\n"), done.stderr
    for name, load in LOADERS.items():
        calls = compare.program_track(load(tmp_path / name)).calls
        endless = [call for call in calls if call.name == "__main__.endless"]
        assert len(endless) > 900
        assert [call.depth for call in endless] == list(range(2, len(endless) + 2))
        told = None if sys.version_info < (3, 12) else "RecursionError"
        assert {(call.ended, call.exception) for call in endless} == {("unwind", told)}
        others = [(call.depth, call.name, call.ended) for call in calls if call not in endless]
        assert others == [
            (0, "__main__.<module>", "return"),
            (1, "__main__.main", "return"),
            (1, "__main__.after", "return"),
        ]


def test_a_module_is_traced_as_a_script_is(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "package" / "tool.py").write_text(
        "import sys\n\ndef f(n):\n    return n and f(n - 1)\n\nprint(f(3), sys.argv[1:])\n",
        encoding="utf-8",
    )
    reference = [str(corpus.HERE / "reference.py"), "truth.json"]
    program = ["-m", "package.tool", "a", "--flag"]
    truth = subprocess.run(
        [sys.executable, *reference, *program],
        cwd=tmp_path,
        env=corpus.environment(),
        capture_output=True,
        text=True,
        timeout=corpus.TIMEOUT_S,
        check=True,
    )
    done = otrace_run(tmp_path, *EXPORTS, *program)
    assert (done.returncode, done.stdout) == (0, truth.stdout), done.stderr
    for name, load in LOADERS.items():
        compare.assert_same(compare.load_reference(tmp_path / "truth.json"), load(tmp_path / name))
