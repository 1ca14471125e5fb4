"""Output files are complete or not there."""

import gzip
import os
import stat
import threading

import pytest

from otrace.errors import ExportError, UsageError
from otrace.output import check_output, open_output


def test_written_whole(tmp_path):
    target = tmp_path / "t.json"
    with open_output(str(target)) as output:
        output.write(b"one ")
        output.write(memoryview(b"two"))
        assert not target.exists()
    assert target.read_bytes() == b"one two"
    assert output.written == 7
    assert os.listdir(tmp_path) == ["t.json"]


def test_compressed_by_its_name(tmp_path):
    target = tmp_path / "t.json.gz"
    with open_output(str(target)) as output:
        for _ in range(1000):
            output.write(b"the same row, over and over\n")
    assert gzip.decompress(target.read_bytes()) == b"the same row, over and over\n" * 1000
    assert output.written == target.stat().st_size < 1000


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_nothing_is_left_by_a_failure(tmp_path, error):
    target = tmp_path / "t.json"
    target.write_text("old")

    def fail():
        with open_output(str(target)) as output:
            output.write(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.json"]


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with open_output(str(tmp_path / "t")):
            pass
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o640


def test_a_link_keeps_pointing_and_a_planted_one_is_not_followed(tmp_path):
    real, link, victim = tmp_path / "real", tmp_path / "link", tmp_path / "victim"
    real.write_text("old")
    victim.write_text("precious")
    link.symlink_to(real)
    (tmp_path / f".real.{os.getpid()}.part").symlink_to(victim)
    with open_output(str(link)) as output:
        output.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert victim.read_text() == "precious"


def test_a_pipe_is_written_in_place(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    with open_output(str(pipe)) as output:
        output.write(b"through")
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_device_is_an_error():
    message = "cannot write /dev/full: No space left"
    with pytest.raises(ExportError, match=message), open_output("/dev/full") as output:
        output.write(b"x")


def test_check(tmp_path):
    check_output(str(tmp_path / "new.json"))
    assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="is a directory"):
        check_output(str(tmp_path))
    with pytest.raises(UsageError, match=r"cannot write .*nowhere/t: No such file.* -o"):
        check_output(str(tmp_path / "nowhere" / "t"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Not a directory"):
        check_output(str(tmp_path / "file" / "t"))
    check_output("/dev/null")
