"""The table of options, and the one place that each value is parsed."""

import subprocess
import sys

import pytest

from otrace.config import (
    OPTIONS,
    Options,
    parse_bool,
    parse_count,
    parse_duration,
    parse_list,
    parse_part,
    parse_size,
    read_keywords,
)
from otrace.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        (4096, 4096),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("1GiB", 1 << 30),
        ("1.5GiB", 3 << 29),
        ("2k", 2048),
        ("1MB", 1_000_000),
        ("1_000", 1000),
    ],
)
def test_sizes(text, expected):
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "MiB", "-1", "0", "1XiB", "1e3", "1.", "0.1", None, True, 1.5, "1 0", "٣", "9e9TiB"],
)
def test_no_sizes(text):
    with pytest.raises(ValueError, match="64MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50us", 50_000),
        ("50µs", 50_000),
        ("0.2ms", 200_000),
        ("3s", 3_000_000_000),
        ("1.000000001s", 1_000_000_001),
        ("7 ns", 7),
        ("2min", 120_000_000_000),
        ("0", 0),
        (0, 0),
    ],
)
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("value", ["50", 50, 0.5, "1.5"])
def test_a_duration_without_a_unit_says_how_to_write_it(value):
    with pytest.raises(ValueError, match=rf"needs a unit: write {value}us, {value}ms or {value}s"):
        parse_duration(value)


@pytest.mark.parametrize("text", ["", "us", "5x", "-5us", "five s", None, True, [], "1e9h"])
def test_no_durations(text):
    with pytest.raises(ValueError, match="50us"):
        parse_duration(text)


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("off", False), (True, True), (0, 0)])
def test_yes_and_no(value, expected):
    assert parse_bool(value) is bool(expected)


@pytest.mark.parametrize("value", ["", "maybe", 2, None, 1.0])
def test_neither_yes_nor_no(value):
    with pytest.raises(ValueError, match="1 or 0"):
        parse_bool(value)


@pytest.mark.parametrize("value", ["-1", "x", "1.0", True, None, 1 << 31, "²"])
def test_no_counts(value):
    with pytest.raises(ValueError, match="whole number"):
        parse_count(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("0.05", 0.05), (" 5% ", 0.05), ("off", 0.0), (0, 0.0), (1, 1.0)]
)
def test_parts_of_the_whole(value, expected):
    assert parse_part(value) == expected


@pytest.mark.parametrize("value", ["5", "-0.1", "101%", "nan", "%", "", True, None, [], 1.5])
def test_no_parts(value):
    with pytest.raises(ValueError, match=r"0\.05, 5% or off"):
        parse_part(value)


def test_lists_come_as_text_or_as_names():
    assert parse_list("a,b\nc , ") == ("a", "b", "c")
    assert parse_list(["a", "b,c"]) == ("a", "b,c")
    assert parse_list(()) == ()
    with pytest.raises(ValueError, match="names"):
        parse_list([1])
    with pytest.raises(ValueError, match="names"):
        parse_list(3)


def test_options_survive_the_environment():
    options = Options(
        include=("a", "b.*"),
        exclude=("/x y",),
        exclude_functions=("*.secret",),
        c_calls=False,
        stdlib=False,
        min_duration_ns=1234,
        max_depth=7,
        loop_lag_ns=50_000_000,
        overhead=0.05,
        buffer_size=1 << 20,
        follow=False,
        session_dir="/dev/shm",
    )
    assert all(getattr(options, o.field) != o.default for o in OPTIONS), "all are changed"
    assert Options.from_environment(options.to_environment()) == options


def test_defaults_leave_no_variable():
    assert Options().to_environment() == {}
    assert Options.from_environment({"OTRACE_INCLUDE": "", "OTRACE_SESSION": "/x"}) == Options()


def test_a_bad_variable_is_named():
    with pytest.raises(ConfigError, match=r"^OTRACE_BUFFER_SIZE is 'much': "):
        Options.from_environment({"OTRACE_BUFFER_SIZE": "much"})


def test_options_cannot_be_changed():
    options = Options()
    with pytest.raises(AttributeError):
        options.follow = False
    with pytest.raises(AttributeError):
        del options.follow
    with pytest.raises(TypeError):
        Options(unknown=1)
    assert hash(Options()) == hash(options)
    assert repr(Options(max_depth=3)) == "Options(max_depth=3)"


def test_keywords():
    fields = read_keywords({"min_duration": "2us", "include": ["a"], "exclude": None})
    assert fields == {"min_duration_ns": 2000, "include": ("a",)}
    with pytest.raises(TypeError, match="no option 'depth'"):
        read_keywords({"depth": 3})
    with pytest.raises(ConfigError, match="min_duration is 3: a duration needs a unit"):
        read_keywords({"min_duration": 3})


def test_no_two_rows_share_a_name():
    for names in (
        [o.field for o in OPTIONS],
        [o.keyword for o in OPTIONS],
        [o.variable for o in OPTIONS],
        [flag for o in OPTIONS for flag in o.flag.split("/")],
    ):
        assert len(set(names)) == len(names)
    assert all(o.help for o in OPTIONS)


def test_config_imports_nothing_into_the_traced_program():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import importlib.util as u, types\n"
        "sys.modules['otrace'] = p = types.ModuleType('otrace'); before = set(sys.modules)\n"
        f"p.__path__ = [{__import__('otrace').__path__[0]!r}]\n"
        "import otrace.config\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['otrace.config', 'otrace.errors']"
