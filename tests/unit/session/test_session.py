"""Session folders: private, unique, never through links."""

import errno
import json
import os
import stat

import pytest

from otrace import session as sessions
from otrace.config import Options
from otrace.errors import SessionError
from otrace.session import Session, stem


def make(folder, program="app.py"):
    return Session.create(program, Options(), folder=str(folder))


def test_a_new_folder_is_private(tmp_path):
    old = os.umask(0o777)
    try:
        session = make(tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(session.path).st_mode) == 0o700
    assert os.path.isabs(session.path)
    manifest = os.path.join(session.path, "manifest.json")
    session.write_manifest()
    assert stat.S_IMODE(os.stat(manifest).st_mode) == 0o600


def test_manifest_tells_the_story(tmp_path):
    session = make(tmp_path)
    session.set_root(123)
    path = os.path.join(session.path, "manifest.json")
    with open(path) as file:
        before = json.load(file)
    assert before["format"] == 1
    assert before["program"] == "app.py"
    assert before["argv"] == ["app.py"]
    assert before["root_pid"] == 123
    assert before["options"]["buffer_size"] == 1 << 30
    assert "exit" not in before
    session.finish(signal=9)
    assert sessions.read_manifest(session.path)["exit"] == {"signal": 9}
    session.finish(status=3)
    assert sessions.read_manifest(session.path)["exit"] == {"status": 3}
    assert os.listdir(session.path) == ["manifest.json"]


def test_names_are_unique_and_safe(tmp_path):
    names = {os.path.basename(make(tmp_path, "../e vil/\x00\n\udc80.py").path) for _ in range(5)}
    assert len(names) == 5
    assert all(name.isprintable() and name.endswith(".otrace") for name in names)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("dir/app.py", "app"),
        ("package.module", "package.module"),
        ("/", "program"),
        (".hidden", "hidden"),
        ("--x", "x"),
        ("", "program"),
        ("folder/", "folder"),
        ("a.pyz", "a"),
    ],
)
def test_stem(program, expected):
    assert stem(program) == expected


def test_a_link_or_a_file_is_never_taken(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "x.otrace").symlink_to(tmp_path / "real")
    with pytest.raises(SessionError, match=r"x\.otrace: File exists"):
        Session.create("app", Options(), path=str(tmp_path / "x.otrace"))
    assert not list((tmp_path / "real").iterdir())


def test_no_folder_says_what_to_do(tmp_path):
    with pytest.raises(SessionError, match=r"cannot make a recording in .*nowhere.*--session-dir"):
        make(tmp_path / "nowhere")


def test_the_manifest_is_not_written_through_a_link(tmp_path):
    session = make(tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, os.path.join(session.path, ".manifest.json.part"))
    session.write_manifest()
    assert victim.read_text() == "precious"


def fill(session):
    """A segment with data, a hole, and data."""
    path = os.path.join(session.path, "1-0.segment")
    with open(path, "wb") as file:
        file.write(b"head")
        file.seek(8 << 20)
        file.write(b"tail")
        file.truncate(64 << 20)
    return path


def test_keep_moves_and_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = make(tmp_path)
    fill(session)
    where = session.keep()
    assert os.path.basename(where).startswith("app-20")
    assert where.endswith(".otrace")
    assert os.path.dirname(where) == str(tmp_path)
    assert sorted(os.listdir(where)) == ["1-0.segment", "manifest.json"]
    second, third = make(tmp_path), make(tmp_path)
    monkeypatch.setattr(sessions, "kept_name", lambda program: os.path.basename(where))
    assert second.keep() == where.replace(".otrace", "-2.otrace")
    assert third.keep() == where.replace(".otrace", "-3.otrace")


def test_keep_replaces_only_when_told(tmp_path):
    first, second = make(tmp_path), make(tmp_path)
    target = str(tmp_path / "kept.otrace")
    first.keep(target)
    with pytest.raises(SessionError, match="stays in"):
        second.keep(target)
    assert os.path.isdir(second.path)
    fill(second)
    assert second.keep(target, replace=True) == target
    assert "1-0.segment" in os.listdir(target)


def test_across_file_systems_holes_stay_holes(tmp_path, monkeypatch):
    session = make(tmp_path)
    path = fill(session)
    os.symlink("/etc/passwd", os.path.join(session.path, "link"))
    before = os.stat(path)
    source, target = session.path, str(tmp_path / "kept.otrace")
    with open(path, "rb") as file:
        content = file.read()

    def refuse(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "rename", refuse)
    assert session.keep(target) == target
    copied = os.path.join(target, "1-0.segment")
    with open(copied, "rb") as file:
        assert file.read() == content
    assert os.stat(copied).st_blocks <= before.st_blocks + 64
    assert stat.S_IMODE(os.stat(copied).st_mode) == 0o600
    assert sorted(os.listdir(target)) == ["1-0.segment", "manifest.json"]
    assert not os.path.exists(source)


def test_remove_follows_no_link(tmp_path):
    session = make(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    os.symlink(outside, os.path.join(session.path, "link"))
    session.remove()
    assert not os.path.exists(session.path)
    assert (outside / "file").exists()
    (tmp_path / "link.otrace").symlink_to(outside)
    sessions.remove_tree(str(tmp_path / "link.otrace"))
    assert (outside / "file").exists()


def test_what_a_process_left_in_writing(tmp_path):
    session = make(tmp_path)
    assert session.first_failure() == ""
    assert not session.has_segments()
    (tmp_path / os.path.basename(session.path) / "7.failed").write_text("OSError: full\nmore\n")
    assert session.first_failure() == "OSError: full"


@pytest.mark.parametrize("text", ["", "[1]", "{", "\udc80", '{"a": ' * 100000])
def test_a_damaged_manifest_reads_as_empty(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, errors="surrogateescape")
    assert sessions.read_manifest(str(tmp_path)) == {}
