"""How otrace's own words are written."""

import io
import sys

import pytest

from otrace.cli import words
from otrace.cli.progress import ProgressBar


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_940, "999.9 kB"), (12_345_678, "12.3 MB"),
     (5 * 10**9, "5.0 GB"), (7 * 10**12, "7.0 TB")],
)  # fmt: skip
def test_size(number, expected):
    assert words.size(number) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 ns"), (999, "999 ns"), (1000, "1.00 us"), (1_230_000, "1.23 ms"),
     (75 * 10**9, "75.0 s"), (5000 * 10**9, "5000 s")],
)  # fmt: skip
def test_duration(number, expected):
    assert words.duration(number) == expected


def test_count():
    assert words.count(1, "call") == "1 call"
    assert words.count(1234, "call") == "1,234 calls"
    assert words.count(2, "process") == "2 processes"


def test_say_writes_one_line_whatever_comes(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    words.say("a\nb\tü \udc80")
    assert stream.buffer.getvalue() == b"otrace: a b \\xfc \\udc80\n"


def test_say_never_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    words.say("x")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    words.say("x")


def drawn(monkeypatch, *, terminal, quiet=False, delay_s=0.0):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("otrace.cli.progress.is_terminal", lambda: terminal)
    with ProgressBar("t.json", quiet=quiet, delay_s=delay_s) as bar:
        bar(0.5)
    return stream.getvalue()


def test_progress_is_for_terminals_after_a_while(monkeypatch):
    shown = drawn(monkeypatch, terminal=True)
    assert "50%" in shown
    assert "t.json" in shown
    assert shown.endswith("\r\x1b[K")
    assert drawn(monkeypatch, terminal=True, delay_s=60) == ""
    assert drawn(monkeypatch, terminal=True, quiet=True) == ""
    assert drawn(monkeypatch, terminal=False) == ""
