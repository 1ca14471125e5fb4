"""The corpus: each program runs traced as it runs plain, and leaves the same trace twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import compare, corpus

MAIN = compare.PROGRAM


def test_there_are_enough_programs() -> None:
    assert len(corpus.PROGRAMS) >= 50


@pytest.mark.parametrize("program", corpus.PROGRAMS, ids=lambda program: program.name)
def test_traced_as_plain_and_the_same_twice(program: corpus.Program, tmp_path: Path) -> None:
    plain = corpus.plain(program.path)
    assert plain.returncode == program.status, plain.stderr
    tracks = []
    for out in (tmp_path / "one.json", tmp_path / "two.json"):
        done = corpus.trace(program.path, out)
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout), done.stderr
        tracks.append(compare.load_reference(out))
    one, two = tracks
    compare.assert_same(one, two, imports=program.imports)
    main = compare.program_track(one)
    assert main.calls[0].name == MAIN
    assert all(call.ended != "open" for call in main.calls)
    assert all(call.exception for track in one for call in track.calls if call.ended == "unwind")
