"""stats, tree, diff and top, as a person runs them."""

from __future__ import annotations

import json
import os
import pty
import select
import struct
import subprocess
from pathlib import Path
from time import monotonic

import pytest
from integration.conftest import OTRACE, Otrace

PROGRAM = """\
import sys, threading

def leaf(n):
    return sum(range(n))

def work(n):
    return [leaf(n) for _ in range(50)]

def recurse(n):
    return n and recurse(n - 1)

def gen():
    yield 1
    yield 2

def fails():
    raise ValueError

work(int(sys.argv[1]))
recurse(100)
list(gen())
try:
    fails()
except ValueError:
    pass
thread = threading.Thread(target=work, args=(int(sys.argv[1]) // 10,), name="Second")
thread.start()
thread.join()
"""


@pytest.fixture
def recorded(otrace: Otrace) -> Otrace:
    otrace.write("app.py", PROGRAM)
    otrace("run", "-q", "-o", "app.otrace", "app.py", "100")
    return otrace


def stats(otrace: Otrace, *words: str) -> dict[str, dict[str, int]]:
    done = otrace("stats", "app.otrace", "--json", "--limit", "0", *words)
    return {row["name"]: row for row in json.loads(done.stdout)["rows"]}


def test_stats_count_every_call(recorded: Otrace) -> None:
    rows = stats(recorded)
    assert rows["__main__.leaf"]["calls"] == 100
    assert rows["__main__.work"]["calls"] == 2
    assert rows["__main__.recurse"]["calls"] == 101
    assert rows["__main__.recurse"]["primitive"] == 1
    assert (rows["__main__.gen"]["calls"], rows["__main__.gen"]["runs"]) == (1, 3)
    assert rows["__main__.fails"]["exceptions"] == 1
    leaf = rows["__main__.leaf"]
    assert leaf["min_ns"] <= leaf["p50_ns"] <= leaf["p95_ns"] <= leaf["p99_ns"] <= leaf["max_ns"]
    assert rows["__main__.work"]["total_ns"] >= leaf["total_ns"]


def test_stats_by_other_things(recorded: Otrace) -> None:
    threads = stats(recorded, "--by", "thread")
    assert set(threads) == {"MainThread", "Second"}
    (process,) = stats(recorded, "--by", "process").values()
    assert process["calls"] == sum(row["calls"] for row in threads.values())
    modules = stats(recorded, "--by", "module")
    assert modules["__main__"]["calls"] > 200
    files = stats(recorded, "--by", "file")
    assert files[str(recorded.folder / "app.py")]["calls"] == modules["__main__"]["calls"]


def test_stats_sorts_filters_and_limits(recorded: Otrace) -> None:
    done = recorded(
        "stats", "app.otrace", "--sort", "calls", "--filter", "__main__.*", "--limit", "2"
    )
    head, first, second, more = done.stdout.splitlines()
    assert head.split()[:2] == ["self", "self%"]
    assert first.endswith("__main__.recurse")
    assert second.endswith("__main__.leaf")
    assert "more" in more
    assert "\x1b" not in done.stdout
    assert stats(recorded, "--filter", "no such name") == {}
    narrow = recorded("stats", "app.otrace", env={"COLUMNS": "70"}).stdout.splitlines()
    assert all(len(line) <= 70 for line in narrow[:-1])


def test_tree_shows_threads_and_folds(recorded: Otrace) -> None:
    lines = recorded("tree", "app.otrace", "--min-percent", "0").stdout.splitlines()
    titles = [line for line in lines if line[0] not in "│├└ "]
    assert [title.partition(":")[0] for title in titles] == ["MainThread", "Second"]
    leaf = [line for line in lines if "__main__.leaf" in line]
    assert len(leaf) == 2
    assert all(line.endswith("x50") for line in leaf)
    only = recorded("tree", "app.otrace", "--thread", "Second").stdout
    assert "recurse" not in only
    assert "__main__.work" in only
    done = recorded("tree", "app.otrace", "--thread", "nobody", status=2)
    assert "there are: MainThread, Second" in done.stderr


def test_slowest_calls_come_with_their_ancestors(recorded: Otrace) -> None:
    lines = recorded("tree", "app.otrace", "--slowest", "3").stdout.splitlines()
    heads = [line for line in lines if line[0] != " "]
    assert [head.partition(".")[0] for head in heads] == ["1", "2", "3"]
    assert any(line.strip() == "in __main__.<module>" for line in lines)


def test_diff_tells_what_became_slower(recorded: Otrace) -> None:
    recorded("run", "-q", "-o", "slow.otrace", "app.py", "100000")
    done = recorded("diff", "app.otrace", "slow.otrace", "--json")
    states = {row["name"]: row for row in json.loads(done.stdout)["functions"]}
    leaf = states["__main__.leaf"]
    assert leaf["state"] == "slower"
    assert leaf["before"]["calls"] == leaf["after"]["calls"] == 100
    paths = {tuple(row["path"][-2:]): row["state"] for row in json.loads(done.stdout)["paths"]}
    assert paths["__main__.leaf", "builtins.sum"] == "slower"
    text = recorded("diff", "app.otrace", "slow.otrace").stdout
    assert "By function" in text
    assert " > __main__.leaf" in text  # below work, or below its comprehension
    recorded("diff", "app.otrace", "slow.otrace", "-o", "diff.html")
    page = (recorded.folder / "diff.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "leaf" in page
    bad = recorded("diff", "app.otrace", "slow.otrace", "-o", "none/diff.html", status=2)
    assert bad.stdout == ""
    same = recorded("diff", "app.otrace", "app.otrace")
    assert "no function changed" in same.stdout


def test_top_of_a_running_program(otrace: Otrace) -> None:
    otrace.write(
        "server.py",
        "import sys, os\n"
        "def serve():\n    return len('x')\n"
        "for _ in range(1000): serve()\n"
        "print(os.getpid(), flush=True)\nsys.stdin.read()\n",
    )
    with otrace.start("run", "-q", "-o", "s.json", "server.py") as program:
        assert program.stdout is not None
        pid = program.stdout.readline().strip()
        table = otrace("top", pid, "--once").stdout
        assert "1,000" in next(line for line in table.splitlines() if "__main__.serve" in line)
        tree = otrace("top", str(otrace.sessions()[0]), "--once", "--tree").stdout
        assert "MainThread" in tree
        program.communicate("")
    assert program.returncode == 0
    done = otrace("top", str(os.getpid()), "--once", status=2)
    assert "is not being recorded" in done.stderr
    assert "standard output is no terminal" in otrace("top", "x", status=2).stderr


def test_top_in_a_terminal_takes_keys_and_leaves_it_as_it_was(recorded: Otrace) -> None:
    main, side = pty.openpty()
    command = [*OTRACE, "top", "app.otrace"]
    environment = recorded.environment({"TERM": "xterm", "COLUMNS": "100", "LINES": "20"})
    with subprocess.Popen(
        command, cwd=recorded.folder, env=environment, stdin=side, stdout=side, stderr=side
    ) as top:
        os.close(side)
        shown = until(main, b"by self")
        assert b"\x1b[?1049h" in shown
        os.write(main, b"s")
        until(main, b"by total")
        os.write(main, b"t")
        until(main, b"MainThread")
        os.write(main, b"q")
        until(main, b"\x1b[?1049l")
    os.close(main)
    assert top.returncode == 0


def until(descriptor: int, wanted: bytes) -> bytes:
    """What comes out of a terminal up to these bytes."""
    data, end = b"", monotonic() + 30
    while wanted not in data:
        ready, _, _ = select.select([descriptor], [], [], max(end - monotonic(), 0))
        assert ready, data
        data += os.read(descriptor, 4096)
    return data


@pytest.mark.parametrize("command", ["stats", "tree", "diff", "top"])
def test_bad_input_is_one_line(otrace: Otrace, command: str, tmp_path: Path) -> None:
    (tmp_path / "empty.otrace").mkdir()
    (tmp_path / "odd.segment").write_bytes(b"not a segment" * 500)
    for path in ("empty.otrace", "odd.segment", "missing"):
        words = [str(tmp_path / path)] * (2 if command == "diff" else 1)
        done = otrace(command, *words, *(["--once"] if command == "top" else []), status=1)
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""


def test_a_cut_recording_is_counted_as_far_as_it_goes(recorded: Otrace) -> None:
    (segment,) = (recorded.folder / "app.otrace").glob("*.segment")
    with segment.open("rb") as stream:
        header = stream.read(64)
        (chunks_offset,) = struct.unpack_from("<Q", header, 56)
        stream.seek(0)
        (recorded.folder / "cut.segment").write_bytes(stream.read(chunks_offset + 4_000))
    done = recorded("stats", "cut.segment", "--limit", "0")
    assert len(done.stdout.splitlines()) > 10
    assert "the file is cut" in done.stderr
    whole = recorded("stats", "app.otrace", "--limit", "0")
    assert len(whole.stdout.splitlines()) > len(done.stdout.splitlines())
