"""Every error is one line on stderr and the right exit status."""

import subprocess
import sys

import click
import pytest

from otrace.cli import boundary, group
from otrace.errors import ExportError, UsageError


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        @click.command()
        def command():
            raise error

        monkeypatch.setattr(group.LazyGroup, "get_command", lambda *_: command)
        return boundary.run(["anything"])

    return fail_with


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("bad words"), 2, "otrace: bad words\n"),
        (ExportError("full\nof lines"), 1, "otrace: full of lines\n"),
        (click.UsageError("Odd thing."), 2, "otrace: Odd thing (see otrace anything --help)\n"),
        (KeyboardInterrupt(), 130, "otrace: interrupted\n"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_errors(failing, capfd, monkeypatch, error, status, line):
    monkeypatch.setattr(boundary, "silence_stdout", lambda: None)
    assert failing(error) == status
    assert capfd.readouterr().err.lstrip() == line


def test_a_defect_is_one_line_and_more_on_request(failing, capfd, monkeypatch):
    monkeypatch.delenv("OTRACE_DEBUG", raising=False)
    assert failing(ZeroDivisionError("x")) == 1
    err = capfd.readouterr().err
    assert err.startswith("otrace: internal error: ZeroDivisionError: x; please report")
    assert err.count("\n") == 1
    monkeypatch.setenv("OTRACE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError("x"))


def test_every_command_is_there_with_the_help_that_the_list_shows(capfd):
    for name in group.COMMANDS:
        assert boundary.run([name, "--help"]) == 0
        assert f"otrace {name}" in capfd.readouterr().out


def test_a_reader_that_goes_away_is_no_traceback():
    command = f"{sys.executable} -m otrace run --help | true"
    for _ in range(3):
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert done.stderr == ""
