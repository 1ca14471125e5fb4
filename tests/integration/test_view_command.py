"""`otrace view` as a command: what it prints, how it ends, what it holds in memory."""

from __future__ import annotations

import gzip
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from integration.conftest import Otrace

WORDS = ("view", "--no-browser", "--ui", "online", "--port", "0")
LARGE = 100_000_000
PIECE = 1 << 20


@contextmanager
def viewing(otrace: Otrace, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The viewer, and the address that it printed."""
    with otrace.start(*WORDS, *words) as viewer:
        assert viewer.stdout is not None
        try:
            yield viewer, viewer.stdout.readline().strip()
        finally:
            viewer.kill()


def trace_of(address: str) -> str:
    """Where the trace is that a page hands over."""
    return address.replace("/open/", "/trace/")


def peak_bytes(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_large_trace_is_not_read_into_memory(otrace: Otrace) -> None:
    with (otrace.folder / "large.pftrace").open("wb") as file:
        file.truncate(LARGE)
    with viewing(otrace, "large.pftrace") as (viewer, address):
        before = peak_bytes(viewer.pid)
        size = 0
        with urllib.request.urlopen(trace_of(address), timeout=60) as answer:
            while piece := answer.read(PIECE):
                size += len(piece)
        assert size == LARGE
        assert peak_bytes(viewer.pid) - before < LARGE // 10


def test_a_packed_trace_is_sent_as_it_is(otrace: Otrace) -> None:
    data = gzip.compress(b'{"traceEvents":[]}')
    (otrace.folder / "a b.json.gz").write_bytes(data)
    with viewing(otrace, "--once", "a b.json.gz") as (viewer, address):
        assert unquote(urlsplit(address).path) == "/open/a b.json.gz"
        with urllib.request.urlopen(trace_of(address), timeout=60) as answer:
            assert answer.headers["Content-Encoding"] is None  # the UI unpacks it
            assert answer.read() == data
        assert viewer.wait(60) == 0  # once it was fetched


def test_an_interrupt_ends_it(otrace: Otrace) -> None:
    otrace.write("t.json", '{"traceEvents":[]}')
    with viewing(otrace, "t.json") as (viewer, address):
        viewer.send_signal(signal.SIGINT)
        assert viewer.wait(60) == 0
        assert viewer.stderr is not None
        assert all(line.startswith("otrace: serving") for line in viewer.stderr)
        port = urlsplit(address).port
        assert port is not None
        with socket.create_server(("127.0.0.1", port)):
            pass  # it is free again
    assert list(otrace.temporary.iterdir()) == []


def test_a_port_in_use_is_one_line(otrace: Otrace) -> None:
    otrace.write("t.json", '{"traceEvents":[]}')
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = otrace(*WORDS[:-1], port, "t.json", status=1)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line
