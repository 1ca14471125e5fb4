"""What is started, and with which environment."""

import os
import sys

import pytest

from otrace import program as programs
from otrace.config import Options
from otrace.errors import UsageError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with files of all kinds, and a PATH with a tool."""
    (tmp_path / "app.py").write_text("")
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text("")
    (tmp_path / "empty").mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    write_tool(tools / "tool", f"#!{sys.executable}\n")
    write_tool(tools / "empty", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_tool(path, text):
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("app.py", True),
        ("not_there.py", True),
        ("x.pyz", True),
        ("-", True),
        ("folder", True),
        ("empty", False),
        ("tool", False),
        ("./bin/tool", False),
        ("plain", True),
        ("nothing", False),
    ],
)
def test_is_script(word, expected):
    assert programs.is_script(word) is expected


def test_command_lines():
    py = sys.executable
    assert programs.script("app.py", ["a"]).argv == (py, "app.py", "a")
    assert programs.script("./folder/", []).name == "folder"
    assert programs.script("-", []).name == "stdin"
    assert programs.module("a.b", ["-x"]).argv == (py, "-m", "a.b", "-x")
    assert programs.code("pass", []).argv == (py, "-c", "pass")
    tool = programs.console_script("tool", ["--export"])
    assert tool.argv == ("tool", "--export")
    assert tool.executable.endswith("/bin/tool")
    assert tool.interpreter == py


def test_what_is_not_there():
    with pytest.raises(UsageError, match=r"no such file: not_there\.py"):
        programs.script("not_there.py", [])
    with pytest.raises(UsageError, match=r"'nothing' on PATH; to run a file with Python"):
        programs.console_script("nothing", [])
    with pytest.raises(UsageError, match=r"'\./nothing' on PATH$"):
        programs.console_script("./nothing", [])


def test_interpreters_by_the_first_line(place):
    py = sys.executable
    cases = {
        f"#!{py}\n": py,
        f"#!{py} -I\n": py,
        f"#!/bin/sh\n'''exec' \"{py}\" \"$0\" \"$@\"\n' '''\n": py,
        "#!/bin/sh\necho\n": None,
        "\x7fELF": None,
        "": None,
        "#!": None,
        "#!/nowhere/python3\n": None,
    }
    for text, expected in cases.items():
        write_tool(place / "t", text)
        assert programs.interpreter_of("t") == expected, text
    name = os.path.basename(os.path.realpath(py))
    (place / "bin" / name).symlink_to(py)
    write_tool(place / "t", f"#!/usr/bin/env -S {name} -u\n")
    assert programs.interpreter_of("t") == str(place / "bin" / name)
    assert programs.interpreter_of(py) == py


def environment(program, monkeypatch, options=None, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return programs.environment_for(program, "/s.otrace", options or Options())


def test_environment(monkeypatch):
    options = Options(include=("a", "b"), session_dir="/x")
    got = environment(
        programs.module("m", []),
        monkeypatch,
        options,
        OTRACE_EXCLUDE="old",
        OTRACE_SESSION_DIR="mine",
        OTHER="kept",
        TRACEPARENT="00-1",
    )
    assert got["OTRACE_SESSION"] == "/s.otrace"
    assert got["OTRACE_INCLUDE"] == "a\nb"
    assert "OTRACE_EXCLUDE" not in got
    assert got["OTRACE_SESSION_DIR"] == "mine"
    assert (got["OTHER"], got["TRACEPARENT"]) == ("kept", "00-1")


def test_python_path_only_without_the_startup_file(monkeypatch, place):
    program = programs.module("m", [])
    monkeypatch.setattr(programs, "has_startup_file", lambda interpreter: True)
    assert environment(program, monkeypatch, PYTHONPATH="mine")["PYTHONPATH"] == "mine"
    monkeypatch.setattr(programs, "has_startup_file", lambda interpreter: False)
    got = environment(program, monkeypatch, PYTHONPATH="mine")["PYTHONPATH"].split(os.pathsep)
    assert got[1:] == ["mine"]
    assert os.path.isfile(os.path.join(got[0], "sitecustomize.py"))
    monkeypatch.delenv("PYTHONPATH")
    assert environment(program, monkeypatch)["PYTHONPATH"] == got[0]
    write_tool(place / "python3", "#!/bin/sh\n")
    other = programs.console_script("./python3", [])
    assert other.interpreter == "./python3"
    assert "PYTHONPATH" not in environment(other, monkeypatch)


def test_the_locale_that_python_coerced_is_taken_back(monkeypatch):
    program = programs.module("m", [])
    monkeypatch.setattr(programs, "in_first_environment", lambda variable: False)
    assert "LC_CTYPE" not in environment(program, monkeypatch, LC_CTYPE="C.UTF-8")
    assert environment(program, monkeypatch, LC_CTYPE="de_DE")["LC_CTYPE"] == "de_DE"
    monkeypatch.setattr(programs, "in_first_environment", lambda variable: True)
    assert environment(program, monkeypatch, LC_CTYPE="C.UTF-8")["LC_CTYPE"] == "C.UTF-8"


def test_the_first_environment_is_read_from_the_kernel(monkeypatch):
    monkeypatch.setenv("OTRACE_TEST_LATE", "1")
    assert programs.in_first_environment("PATH")
    assert not programs.in_first_environment("OTRACE_TEST_LATE")


def test_startup_files_are_found_beside_other_interpreters(place):
    site = place / "venv" / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (place / "venv" / "bin").mkdir()
    (place / "venv" / "pyvenv.cfg").write_text("")
    python = place / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    assert not programs.has_startup_file(str(python))
    (site / "otrace.pth").write_text("")
    assert programs.has_startup_file(str(python))
