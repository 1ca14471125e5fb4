"""The registry of exporters, their options, and what a failing one becomes."""

import subprocess
import sys

import pytest

from otrace import exporting
from otrace.entry_points import EntryPoint
from otrace.errors import ExportError, PluginError, UsageError
from otrace.exporting import ExporterOption, ExportResult


class Plain:
    """An exporter that remembers what it was asked."""

    name = "plain"
    suffixes = (".txt", ".txt.gz")
    options = (
        ExporterOption("top", int, 10, "how many"),
        ExporterOption("deep_view", bool, False),
        ExporterOption("title", str, None),
    )

    def __init__(self):
        self.calls = []

    def check(self, target, options):
        if target == "bad.txt":
            raise UsageError("cannot write bad.txt: it is bad")

    def export(self, recording, target, options, progress):
        self.calls.append((recording, target, dict(options)))
        if recording == "broken":
            raise ZeroDivisionError("by\nzero")
        return ExportResult(target, 1, 2)


class Longer(Plain):
    name = "longer"
    suffixes = (".long.txt",)


class Network(Plain):
    name = "network"
    suffixes = ()


class Exits:
    def __init__(self):
        raise SystemExit(3)


class Incomplete:
    name = "incomplete"
    suffixes = ()


PLUGINS = {
    "plain": ("Plain", "otrace 0.1"),
    "longer": ("Longer", "otrace_longer 1.0"),
    "network": ("Network", "otrace 0.1"),
    "exits": ("Exits", "bad 1"),
    "incomplete": ("Incomplete", "bad 2"),
    "absent": ("NotThere", "bad 3"),
}


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    here = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "plugins_of_the_test", here)
    points = [
        EntryPoint(name, f"plugins_of_the_test:{value}", owner)
        for name, (value, owner) in PLUGINS.items()
    ]
    monkeypatch.setattr(exporting, "read_group", lambda group: points)
    monkeypatch.setattr(exporting, "read_group_anywhere", lambda group: [])


def test_installed_names_the_broken_and_goes_on():
    found = {one.name: one for one in exporting.installed()}
    assert {name for name, one in found.items() if one.exporter} == {"plain", "longer", "network"}
    assert found["plain"].built_in
    assert not found["longer"].built_in
    assert str(found["exits"].error) == "exporter 'exits' of bad 1 cannot be used: SystemExit: 3"
    assert "has no options, check, export" in str(found["incomplete"].error)
    assert "AttributeError" in str(found["absent"].error)


def test_find():
    assert exporting.find("plain").name == "plain"
    with pytest.raises(PluginError, match="'exits' of bad 1"):
        exporting.find("exits")
    with pytest.raises(
        UsageError, match=r"unknown exporter 'plane'; installed are: network, plain"
    ):
        exporting.find("plane")


def test_the_longest_suffix_wins_and_the_broken_are_heard_of():
    heard = []
    assert exporting.for_suffix("a.long.txt", heard.append).name == "longer"
    assert len(heard) == 3
    assert exporting.for_suffix("A.TXT").name == "plain"
    assert exporting.for_suffix("x.txt.gz").name == "plain"
    with pytest.raises(UsageError, match=r"a\.doc by its name: end it in \.txt, \.txt\.gz, \.long"):
        exporting.for_suffix("a.doc")


def test_options():
    resolve = exporting.resolve_options
    assert resolve(Plain(), {}) == {"top": 10, "deep_view": False, "title": None}
    given = {"top": "3", "deep-view": "yes", "title": "t"}
    assert resolve(Plain(), given) == {"top": 3, "deep_view": True, "title": "t"}
    assert resolve(Plain(), {"top": 4})["top"] == 4
    with pytest.raises(UsageError, match=r"plain has no option 'tip'; it has: top, deep_view"):
        resolve(Plain(), {"tip": "3"})
    with pytest.raises(UsageError, match=r"plain\.top is 'x': invalid literal"):
        resolve(Plain(), {"top": "x"})
    with pytest.raises(UsageError, match=r"plain\.deep_view is '7': not a yes or a no"):
        resolve(Plain(), {"deep_view": "7"})


def test_export(tmp_path):
    plain = Plain()
    result = exporting.export("recording", tmp_path / "x", exporter=plain, options={"top": "1"})
    assert result == ExportResult(str(tmp_path / "x"), 1, 2)
    assert plain.calls == [
        ("recording", str(tmp_path / "x"), {"top": 1, "deep_view": False, "title": None})
    ]
    assert exporting.export("r", "a.txt").target == "a.txt"
    assert exporting.export("r", exporter="network").target is None
    with pytest.raises(UsageError, match="give a target"):
        exporting.export("r")
    with pytest.raises(UsageError, match="it is bad"):
        exporting.export("r", "bad.txt")
    with pytest.raises(UsageError, match="it is bad"):
        exporting.check("bad.txt")
    exporting.check("good.txt")


def test_whatever_an_exporter_raises_comes_out_as_one_line():
    with pytest.raises(ExportError, match=r"^exporter plain failed: ZeroDivisionError: by$"):
        exporting.export("broken", "a.txt")


def test_the_documented_protocol_is_what_is_checked():
    assert isinstance(Plain(), exporting.Exporter)
    assert not isinstance(Incomplete(), exporting.Exporter)


def test_importing_it_is_cheap():
    code = "import sys, otrace.exporting; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"opentelemetry", "grpc", "google", "requests", "click", "tomllib"}
    assert "importlib.metadata" not in done.stdout.split()
