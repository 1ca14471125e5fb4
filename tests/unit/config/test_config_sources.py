"""Arguments before variables before pyproject.toml before defaults."""

import pytest

from otrace.config_sources import resolve
from otrace.errors import ConfigError


def project(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)


def test_precedence(tmp_path):
    project(tmp_path, "[tool.otrace]\nmax_depth = 1\nbuffer-size = '1MiB'\nexclude = ['a']\n")
    environment = {"OTRACE_MAX_DEPTH": "2", "OTRACE_BUFFER_SIZE": "2MiB"}
    options = resolve({"max_depth": 3}, environment, tmp_path)
    assert (options.max_depth, options.buffer_size) == (3, 2 << 20)
    assert options.exclude == ("a",)
    assert options.c_calls is True


def test_the_nearest_pyproject_counts(tmp_path):
    project(tmp_path, "[tool.otrace]\nmax_depth = 1\n")
    project(tmp_path / "a", "[tool.otrace]\nmax_depth = 2\n")
    (tmp_path / "a" / "b").mkdir()
    assert resolve({}, {}, tmp_path / "a" / "b").max_depth == 2
    project(tmp_path / "a", "[project]\nname = 'x'\n")
    assert resolve({}, {}, tmp_path / "a" / "b").max_depth == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.otrace]\nmax-dept = 1\n", "unknown key 'max-dept' in .*pyproject.toml; known are"),
        ("[tool.otrace]\nmax_depth = 'x'\n", "max_depth in .*pyproject.toml is 'x': not a whole"),
        ("[tool.otrace]\nmin-duration = 5\n", "needs a unit"),
        ("[tool]\notrace = 3\n", "must be a table"),
        ("[tool.otrace\n", "pyproject.toml is not valid TOML"),
        ("tool = 3 # otrace\n", None),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    project(tmp_path, text)
    if message is None:
        assert resolve({}, {}, tmp_path).max_depth == 0
        return
    with pytest.raises(ConfigError, match=message):
        resolve({}, {}, tmp_path)


def test_relative_paths_count_from_where_they_were_given(tmp_path):
    project(tmp_path, "[tool.otrace]\nexclude = ['src/', 'a.b', '/abs/*', '*/x', '../up']\n")
    (tmp_path / "sub").mkdir()
    options = resolve({"include": ["./lib/*", "mod", "src"]}, {}, tmp_path / "sub")
    assert options.exclude == (
        f"{tmp_path}/src",
        "a.b",
        "/abs/*",
        "*/x",
        f"{tmp_path.parent}/up",
    )
    assert options.include == (f"{tmp_path}/sub/lib/*", "mod", "src")
    options = resolve({"exclude_functions": ["a/b"]}, {"OTRACE_INCLUDE": "x/y"}, tmp_path / "sub")
    assert options.include == (f"{tmp_path}/sub/x/y",)
    assert options.exclude_functions == ("a/b",)


def test_defaults_come_last(tmp_path):
    project(tmp_path, "[tool.otrace]\nmax_depth = 1\n")
    defaults = {"OTRACE_MAX_DEPTH": "4", "OTRACE_BUFFER_SIZE": "4MiB", "OTRACE_C_CALLS": "0"}
    environment = {"OTRACE_BUFFER_SIZE": "2MiB"}
    options = resolve({}, environment, tmp_path, defaults=defaults)
    assert (options.max_depth, options.buffer_size, options.c_calls) == (1, 2 << 20, False)
