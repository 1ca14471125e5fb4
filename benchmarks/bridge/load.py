"""Runs the service of service.py and asks it: what each request took, what the process used."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CLIENTS = 4
START_S = 60.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def environment(collector: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTRACE_"))}
    return own | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "PYTHONHASHSEED": "0"}


@contextmanager
def peers() -> Iterator[str]:
    """The URL of the collector that is also the other service."""
    words = [sys.executable, str(HERE / "peers.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


class Service:
    """A running service."""

    def __init__(self, port: int) -> None:
        self.port = port

    def usage(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/usage")
            found: dict[str, Any] = json.load(connection.getresponse())
            return found
        finally:
            connection.close()

    def drive(self, count: int) -> list[float]:
        """So many requests over kept connections; how long each took, in ms."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            parts = pool.map(self._client, [count // CLIENTS] * CLIENTS)
            return [took for part in parts for took in part]

    def _client(self, count: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found = []
        for number in range(count):
            path = f"/order/{1 + number % 20}" if number % 2 else f"/quote/{number % 20}"
            began = time.perf_counter_ns()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            found.append((time.perf_counter_ns() - began) / 1e6)
            if answer.status != 200:
                raise RuntimeError(f"{path}: status {answer.status}")
        connection.close()
        return found


@contextmanager
def service(variant: str, other: str, collector: str) -> Iterator[Service]:
    """The service with one of the tracers, ready; killed afterwards."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="otrace-bench-") as folder:
        words = [sys.executable, str(HERE / "service.py"), variant, str(port), other]
        with (
            open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log,
            subprocess.Popen(
                [*words, os.path.join(folder, "shop.db")],
                cwd=folder,
                env=environment(collector),
                stdout=log,
                stderr=log,
            ) as process,
        ):
            found = Service(port)
            try:
                _wait(found, process, Path(log.name))
                yield found
            finally:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()


def _wait(found: Service, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            found.usage()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service does not answer: {log.read_text()}") from None
            time.sleep(0.05)
