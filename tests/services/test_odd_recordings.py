"""Every command that reads recordings, and every exporter, on recordings that are odd: one table.

The pages that come out are opened in a browser by test_report_page.py. Not a test of services: it
is here since one version of Python is enough for it.
"""

from __future__ import annotations

import gzip
import json
import marshal
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.message import Message
from odd_programs import DEEP, MANY
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

from otrace.cli import boundary

HOSTILE = """
def make(name):
    code = (lambda: None).__code__.replace(co_name=name, co_qualname=name)
    return type(make)(code, globals())
names = ["</script><script>alert(1)</script>", "<!--", "\\u2028", "\\ud800", "\\x1b[31m\\a\\n;"]
for name in names:
    make(name)()
"""
WORK = """
def work(n):
    return len(str(n))
for n in range(20_000):
    work(n)
"""
GROWING = """
import time
def spin():
    return len("x")
for _ in range(1000):
    spin()
print("ready", flush=True)
while True:  # slower than readers: they cannot show what is overwritten under their eyes
    spin()
    time.sleep(0.0001)
"""
HEADER = struct.Struct("<Q")
CHUNKS_OFFSET = 56
CUT_BYTES = 4_000


@dataclass(frozen=True)
class Odd:
    """A recording, and a function that is in it."""

    path: Path
    name: str


def environment(folder: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OTRACE_")}
    return {**clean, "TMPDIR": str(folder)}


def record(folder: Path, name: str, program: str, *options: str) -> Path:
    (folder / f"{name}.py").write_text(program)
    words = ["run", "-q", *options, "-o", f"{name}.otrace", f"{name}.py"]
    subprocess.run(
        [sys.executable, "-m", "otrace", *words],
        cwd=folder,
        env=environment(folder),
        check=True,
        timeout=100,
    )
    return folder / f"{name}.otrace"


def cut(recording: Path) -> Path:
    """The beginning of its segment, with a part of the first chunk."""
    (segment,) = recording.glob("*.segment")
    data = segment.read_bytes()
    (chunks,) = HEADER.unpack_from(data, CHUNKS_OFFSET)
    path = recording.with_name("cut.segment")
    path.write_bytes(data[: chunks + CUT_BYTES])
    return path


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Odd]:
    folder = tmp_path_factory.mktemp("growing")
    (folder / "growing.py").write_text(GROWING)
    words = ["run", "-q", "-o", "x.otrace", "growing.py"]
    with subprocess.Popen(
        [sys.executable, "-m", "otrace", *words],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        (path,) = folder.glob("*.otrace")
        yield Odd(path, "spin")
        program.terminate()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, growing: Odd) -> dict[str, Odd]:
    folder = tmp_path_factory.mktemp("odd")
    return {
        "empty": Odd(record(folder, "empty", "", "--include", "nothing*"), ""),
        "900 deep": Odd(record(folder, "deep", DEEP), "recurse"),
        "hostile names": Odd(record(folder, "hostile", HOSTILE), "alert(1)"),
        "100,000 functions": Odd(record(folder, "many", MANY), "function_"),
        "cut": Odd(cut(record(folder, "work", WORK)), "site"),
        "growing": growing,
    }


KINDS = ["empty", "900 deep", "hostile names", "100,000 functions", "cut", "growing"]
TOO_SLOW = {  # with 100,000 functions, some seconds each: others do the same work
    "stats --by file --sort total",
    "stats --by thread",
    "top --once --tree",
    "diff --all --limit 0 --json",
    "x.json.gz",
    "x.folded",
    "x.pb.gz",
    "the viewer",
}
COMMANDS = [
    "info",
    "stats",
    "stats --by module",
    "stats --by file --sort total",
    "stats --by thread",
    "tree",
    "tree --slowest 5",
    "top --once",
    "top --once --tree",
    "diff",
]


def table(*rows: str) -> pytest.MarkDecorator:
    cells = [
        pytest.param(row, kind, id=f"{row}, {kind}")
        for row in rows
        for kind in KINDS
        if kind != "100,000 functions" or row not in TOO_SLOW
    ]
    return pytest.mark.parametrize(("row", "kind"), cells)


@table(*COMMANDS)
def test_commands(
    recorded: dict[str, Odd], capfd: pytest.CaptureFixture[str], row: str, kind: str
) -> None:
    name, *options = row.split()
    path = str(recorded[kind].path)
    paths = [path, path] if name == "diff" else [path]
    assert boundary.run([name, *paths, *options]) == 0
    out, err = capfd.readouterr()
    assert out
    assert all(char.isprintable() for line in out.split("\n") for char in line)
    assert all(line.startswith("otrace: ") for line in err.splitlines())


@table("stats --limit 0 --json", "diff --all --limit 0 --json")
def test_json(
    recorded: dict[str, Odd], capfd: pytest.CaptureFixture[str], row: str, kind: str
) -> None:
    name, *options = row.split()
    odd = recorded[kind]
    paths = [str(odd.path)] * (2 if name == "diff" else 1)
    assert boundary.run([name, *paths, *options]) == 0
    document = json.loads(capfd.readouterr().out)
    rows = document["rows" if name == "stats" else "functions"]
    names = [found["name"] for found in rows]
    assert any(odd.name in name for name in names) == bool(odd.name)
    if name == "stats" and kind == "900 deep":
        (recurse,) = (found for found in rows if found["name"] == "__main__.recurse")
        assert (recurse["calls"], recurse["primitive"]) == (901, 1)
    if name == "stats" and kind == "100,000 functions":
        assert sum("__main__.function_" in name for name in names) == 100_000
    if name == "diff" and kind not in ("growing", "empty"):
        assert {found["state"] for found in rows} == {"same"}


def perfetto(data: bytes) -> Message:
    trace: Message = Trace.FromString(data)
    return trace


def page(data: bytes) -> bytes:
    assert data.startswith(b"<!doctype html>")
    assert data.rstrip().endswith(b"</html>")
    assert b"<script>alert" not in data
    assert b"<!--<" not in data.partition(b"<body>")[2]
    return data


READERS: dict[str, Callable[[bytes], object]] = {
    "x.json": json.loads,
    "x.json.gz": lambda data: json.loads(gzip.decompress(data)),
    "x.pftrace": perfetto,
    "x.html": page,
    "x.report.html": page,
    "x.speedscope.json": json.loads,
    "x.folded": lambda data: [int(line.rpartition(b" ")[2]) for line in data.splitlines()],
    "x.pstats": marshal.loads,
    "x.pb.gz": gzip.decompress,
}


@table(*READERS)
def test_files(recorded: dict[str, Odd], tmp_path: Path, row: str, kind: str) -> None:
    odd = recorded[kind]
    target = tmp_path / row
    assert boundary.run(["export", "-q", str(odd.path), "-o", str(target)]) == 0
    data = target.read_bytes()
    READERS[row](data)
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    assert odd.name.encode() in plain


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_changes(recorded: dict[str, Odd], tmp_path: Path, kind: str) -> None:
    odd = recorded[kind]
    target = tmp_path / "changes.html"
    assert boundary.run(["diff", str(odd.path), str(odd.path), "-o", str(target)]) == 0
    assert odd.name.encode() in page(target.read_bytes())


@table("the viewer")
def test_the_viewer_converts(recorded: dict[str, Odd], tmp_path: Path, row: str, kind: str) -> None:
    from otrace.view.items import Library

    library = Library(str(recorded[kind].path), str(tmp_path), with_source=True)
    (item,) = library.items()
    data = Path(library.trace_of(item)).read_bytes()
    assert perfetto(data)
    assert recorded[kind].name.encode() in data
