"""Entry points are read from files as the standard library reads them."""

import importlib.metadata
import sys

import pytest

from otrace.entry_points import EntryPoint, read_group, read_group_anywhere

TEXT = """\
[console_scripts]
x = y:z

[some.group]
# a comment
one = package.one:One
two=package.two : Two.inner [extra]

[other]
three = x:y
"""


def install(folder, name, text, kind="dist-info"):
    path = folder / f"{name}.{kind}"
    path.mkdir(parents=True)
    (path / "entry_points.txt").write_text(text)
    file = "METADATA" if kind == "dist-info" else "PKG-INFO"
    name, _, version = name.partition("-")
    (path / file).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version or 0}\n")


@pytest.fixture
def path(tmp_path, monkeypatch):
    front = [str(tmp_path / "a"), "", str(tmp_path / "b"), "/nowhere"]
    monkeypatch.setattr("sys.path", [*front, *sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_like_the_standard_library(path):
    install(path / "a", "plug_in-1.0", TEXT)
    install(path / "b", "other-2", "[some.group]\nfour = four\n")
    ours = {(p.name, p.distribution) for p in read_group("some.group")}
    assert ours == {("one", "plug_in 1.0"), ("two", "plug_in 1.0"), ("four", "other 2")}
    theirs = importlib.metadata.entry_points(group="some.group")
    assert {name for name, _ in ours} == {p.name for p in theirs}
    assert {p.name: p.distribution for p in read_group_anywhere("some.group")} == dict(ours)


def test_the_first_of_a_name_wins(path):
    install(path / "a", "same-1", "[g]\nx = first:x\n")
    install(path / "b", "same-2", "[g]\nx = second:x\ny = second:y\n")
    install(path / "b", "third", "[g]\nx = third:x\n", kind="egg-info")
    assert [(p.name, p.value) for p in read_group("g")] == [("x", "first:x")]


def test_damage_is_skipped(path):
    install(path / "a", "bad-1", "[g]\nno equals sign\n= nameless\n[unclosed\nx = y:z\n")
    (path / "a" / "empty-1.dist-info").mkdir()
    assert [p.name for p in read_group("g") if p.name] == []


def test_load(path):
    (path / "a").mkdir()
    (path / "a" / "loaded_by_test.py").write_text("class A:\n    class B:\n        pass\n")
    found = EntryPoint("x", "loaded_by_test:A.B [extra]", "d 1").load()
    assert found.__qualname__ == "A.B"
    with pytest.raises(AttributeError):
        EntryPoint("x", "loaded_by_test:C", "d 1").load()
    with pytest.raises(ModuleNotFoundError):
        EntryPoint("x", "not_there_at_all:C", "d 1").load()
