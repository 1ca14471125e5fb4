"""Recordings that nobody has exported."""

import mmap
import os

from otrace import abandoned
from otrace.config import Options
from otrace.session import Session


def make(folder, pid, *, size=4096):
    session = Session.create("app.py", Options(), folder=str(folder))
    path = os.path.join(session.path, f"{pid}-0.segment")
    with open(path, "wb") as file:
        file.write(b"x" * size)
    return session, path


def test_states(tmp_path):
    ended, _ = make(tmp_path, 2**22 + 1)
    ended.finish(status=0)
    lost, _ = make(tmp_path, 2**22 + 2)
    running, path = make(tmp_path, os.getpid())
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0):
        found = {one.path: one for one in abandoned.find(str(tmp_path))}
    assert found[ended.path].state == "ended"
    assert found[lost.path].state == "abandoned"
    assert found[running.path].state == "recording"
    assert found[lost.path].program == "app.py"
    assert found[lost.path].processes == 1
    assert found[lost.path].bytes >= 4096
    assert found[lost.path].created_ns == lost.manifest["created_ns"]
    assert abandoned.look_at(running.path).state == "abandoned"


def test_only_real_folders_of_ours(tmp_path):
    (tmp_path / "file.otrace").write_text("")
    (tmp_path / "real").mkdir()
    (tmp_path / "link.otrace").symlink_to(tmp_path / "real")
    (tmp_path / "empty.otrace").mkdir()
    (found,) = abandoned.find(str(tmp_path))
    assert found.path.endswith("empty.otrace")
    assert (found.program, found.created_ns, found.processes) == ("?", 0, 0)
