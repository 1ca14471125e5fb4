"""The commands beside `run`: export, info, dump, exporters, view, recover."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

WAIT_S = 60
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_exporter"
PROGRAM = """\
import threading
def work(n):
    return len(str(n))
def many():
    for i in range(100):
        work(i)
thread = threading.Thread(target=many, name="worker")
thread.start()
thread.join()
many()
"""


@pytest.fixture
def recording(otrace):
    """A kept recording of the program above: app.otrace."""
    otrace.write("app.py", PROGRAM)
    otrace("run", "-q", "-o", "app.otrace", "app.py")
    return otrace


def calls_in(path):
    raw = path.read_bytes()
    rows = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)["traceEvents"]
    return [row["name"] for row in rows if row["ph"] == "X"]


def test_any_format_any_number_of_times(recording):
    folder = recording.folder
    recording("export", "app.otrace", "-o", "a.json")
    recording("export", "app.otrace/", "--to", "chrome", "-o", "b.json.gz")
    done = recording("export", "app.otrace", "--to", "perfetto", "-o", "t.pftrace")
    assert done.stderr.startswith("otrace: t.pftrace: ")
    assert done.stdout == ""
    assert calls_in(folder / "a.json").count("__main__.work") == 200
    assert calls_in(folder / "a.json") == calls_in(folder / "b.json.gz")
    assert (folder / "t.pftrace").stat().st_size > 0
    recording("export", "app.otrace", "-q")
    assert (folder / "app.json").read_bytes() == (folder / "a.json").read_bytes()
    assert recording("export", "app.otrace", "--quiet", "-o", "q.json").stderr == ""


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["export", "missing.otrace", "-o", "t.json"], 1, "missing.otrace"),
        (["export", "app.otrace", "-o", "nowhere/t.json"], 2, "cannot write nowhere/t.json"),
        (["export", "app.otrace", "-o", "x.otrace"], 2, "that is the name of a recording"),
        (["export", "app.otrace", "--to", "nope"], 2, "unknown exporter 'nope'"),
        (["export", "app.py", "-o", "t.json"], 1, "app.py"),
        (["export"], 2, "Missing argument"),
        (["info", "missing.otrace"], 1, "missing.otrace"),
        (["info", "app.py"], 1, "app.py"),
        (["dump", "missing.otrace"], 1, "missing.otrace"),
        (["view", "missing.json"], 1, "cannot view missing.json: no such file"),
        (["recover", "nowhere"], 1, "cannot look for recordings in nowhere"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_errors_are_one_line(recording, words, status, message):
    done = recording(*words, status=status)
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("otrace: ")
    assert done.stderr.count("\n") == 1


def test_info(recording):
    text = recording("info", "app.otrace").stdout
    assert "app.py" in text
    assert "worker" in text
    data = json.loads(recording("info", "app.otrace", "--json").stdout)
    (process,) = data["processes"]
    assert process["name"] == "app.py"
    assert {thread["name"] for thread in process["threads"]} >= {"worker", "MainThread"}
    exported = recording.folder / "a.json"
    recording("export", "app.otrace", "-o", exported.name)
    shown = [row for row in json.loads(exported.read_bytes())["traceEvents"] if row["ph"] in "XB"]
    assert data["calls"] == len(shown)
    assert data["calls"] == sum(thread["calls"] for thread in process["threads"])
    assert data["lost"]["calls"] == 0
    assert 0 < data["bytes_per_call"] < 1000


def test_dump(recording):
    done = recording("dump", "app.otrace")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) > 400


def test_a_ring_that_overflows_is_told(otrace):
    otrace.write("app.py", "def f():\n    pass\nfor i in range(300_000):\n    f()\n")
    words = ["--buffer-size", "1MiB", "--no-c-calls", "-o", "r.otrace", "-o", "t.json"]
    done = otrace("run", *words, "app.py")
    assert "calls lost: the oldest were overwritten" in done.stderr
    data = json.loads(otrace("info", "r.otrace", "--json").stdout)
    assert data["lost"]["calls"] > 0
    shown = calls_in(otrace.folder / "t.json").count("__main__.f")
    assert shown + data["lost"]["calls"] >= 300_000
    assert "lost" in otrace("info", "r.otrace").stdout


def test_exporters(otrace):
    done = otrace("exporters")
    assert done.stderr == ""
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line[0] != " "}
    assert ".json .json.gz" in lines["chrome"]
    assert ".pftrace" in lines["perfetto"]
    assert "otlp" in lines


def test_version(otrace):
    assert otrace("--version").stdout.startswith("otrace ")
    assert otrace("-h").stdout.startswith("Usage: otrace ")
    assert otrace(status=2).stdout == ""


@pytest.mark.parametrize("what", ["app.json", "app.otrace"])
def test_view(recording, what):
    if what == "app.json":
        recording("export", "app.otrace", "-o", "app.json")
    words = ["view", what, "--no-browser", "--port", "0", "--once", "--ui", "online"]
    process = recording.start(*words)
    link = process.stdout.readline().strip()
    assert re.fullmatch(rf"http://127.0.0.1:[0-9]+/open/{what}", link)
    with urllib.request.urlopen(link.replace("/open/", "/trace/"), timeout=WAIT_S) as response:
        body = response.read()
    assert body
    if what == "app.json":
        assert body == (recording.folder / "app.json").read_bytes()
    out, err = process.communicate(timeout=WAIT_S)
    assert (out, process.returncode) == ("", 0)
    assert "otrace: serving" in err
    assert not [p for p in recording.temporary.iterdir() if p.name.startswith("otrace-view")]


def test_view_a_folder_until_it_is_interrupted(recording):
    process = recording.start("view", ".", "--no-browser", "--port", "0", "--ui", "online")
    link = process.stdout.readline().strip()
    with urllib.request.urlopen(link, timeout=WAIT_S) as response:
        assert b"/open/app.otrace" in response.read()
    with urllib.request.urlopen(link.replace("list", "trace/app.otrace"), timeout=WAIT_S) as answer:
        assert answer.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_S)
    assert (out, process.returncode) == ("", 0)
    assert "Traceback" not in err
    assert not [p for p in recording.temporary.iterdir() if p.name.startswith("otrace-view")]


def test_view_does_not_read_a_large_trace_into_memory(otrace):
    size = 200 << 20
    with open(otrace.folder / "large.pftrace", "wb") as file:
        file.truncate(size)
    process = otrace.start("view", "large.pftrace", "--no-browser", "--port", "0", "--ui", "online")
    link = process.stdout.readline().strip().replace("/open/", "/trace/")
    with urllib.request.urlopen(link, timeout=WAIT_S) as response:
        received = 0
        while block := response.read(1 << 20):
            received += len(block)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)
    assert received == size
    (peak_kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(peak_kib) < 100 << 10


def test_recover_lists_nothing(otrace):
    done = otrace("recover")
    assert done.stdout == ""
    assert "no recordings in" in done.stderr


@pytest.fixture(scope="module")
def example_installed(tmp_path_factory):
    """The example plug-in, installed by pip into a folder."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, timeout=300)
    return target


def test_the_example_plug_in(recording, example_installed):
    env = {"PYTHONPATH": str(example_installed)}
    listed = recording("exporters", env=env).stdout
    assert "top          .top.txt  (otrace_top 1.0)" in listed
    assert "top.rows" in listed
    recording("export", "app.otrace", "--to", "top", env=env)
    lines = (recording.folder / "app.top.txt").read_text().splitlines()
    assert lines[0].split() == ["calls", "own", "ms", "function"]
    assert len(lines) <= 21
    option = ["--exporter-option", "top.rows=3"]
    recording("run", "-q", *option, "-o", "hot.top.txt", "app.py", env=env)
    assert len((recording.folder / "hot.top.txt").read_text().splitlines()) == 4
    exported = recording.folder / "all.top.txt"
    recording("export", "app.otrace", "-o", exported.name, "--exporter-option", "top.rows=9999",
              env=env)  # fmt: skip
    rows = [line.split() for line in exported.read_text().splitlines()[1:]]
    assert [row[0] for row in rows if row[2] == "__main__.work"] == ["200"]


def test_a_broken_plug_in_is_named_and_the_others_go_on(recording, tmp_path):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[otrace.exporters]\nodd = not_there_at_all:X\n")
    env = {"PYTHONPATH": str(tmp_path)}
    done = recording("exporters", env=env)
    assert "exporter 'odd' of broken 1.0 cannot be used: ModuleNotFoundError" in done.stderr
    assert "chrome" in done.stdout
    done = recording("run", "-o", "t.json", "app.py", env=env)
    assert "exporter 'odd' of broken 1.0" in done.stderr
    assert calls_in(recording.folder / "t.json")
    assert recording("run", "-q", "-o", "t.json", "app.py", env=env).stderr == ""
    done = recording("run", "--export", "chrome=u.json", "app.py", env=env)
    assert "odd" not in done.stderr
    done = recording("run", "--export", "odd", "app.py", env=env, status=2)
    assert done.stderr.count("\n") == 1
