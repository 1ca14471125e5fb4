"""A real Jaeger for tests: a process of its own, on free loopback ports, spans kept in memory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

JAEGER_VERSION = "1.76.0"
START_TIMEOUT_S = 60.0
ARRIVAL_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.05

Answer = TypeVar("Answer")

# The all-in-one configuration that Jaeger ships, less what the tests have no use for.
CONFIGURATION = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics: {{level: none}}
    logs: {{level: info}}
extensions:
  jaeger_query:
    storage: {{traces: memory_storage}}
    http: {{endpoint: "127.0.0.1:{query}"}}
    grpc: {{endpoint: "127.0.0.1:{query_grpc}"}}
  jaeger_storage:
    backends:
      memory_storage:
        memory: {{max_traces: 10000}}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{otlp_grpc}"}}
      http: {{endpoint: "127.0.0.1:{otlp_http}"}}
exporters:
  jaeger_storage_exporter: {{trace_storage: memory_storage}}
"""


class JaegerError(Exception):
    """Jaeger did not start, or what was asked for never came."""


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger.

    otlp_http, query: base URLs, without a path. otlp_grpc: a URL for OTEL_EXPORTER_OTLP_ENDPOINT
    with the protocol grpc.
    """

    otlp_http: str
    otlp_grpc: str
    query: str

    def get_trace(self, trace_id: str | int, spans: int = 1) -> dict[str, Any]:
        """One trace as the query API gives it, once it holds at least `spans` spans.

        trace_id: 32 hexadecimal digits, or the number. The answer has `traceID`, `processes` and
        `spans` (times in µs, parents in `references`, Jaeger's complaints in `warnings`). Raises
        JaegerError when the spans do not arrive in time.
        """
        wanted = f"{trace_id:032x}" if isinstance(trace_id, int) else trace_id

        def ask() -> dict[str, Any] | None:
            traces = self._ask(f"/api/traces/{wanted}")
            return traces[0] if traces and len(traces[0]["spans"]) >= spans else None

        return wait_for(ask, f"{spans} span(s) of the trace {wanted} in Jaeger", ARRIVAL_TIMEOUT_S)

    def find_traces(
        self, service: str, traces: int = 1, limit: int = 1000, **parameters: str
    ) -> list[dict[str, Any]]:
        """The traces of a service, once there are at least `traces` of them, newest first."""

        def ask() -> list[dict[str, Any]] | None:
            found = self._ask(
                "/api/traces", service=service, limit=str(limit), lookback="24h", **parameters
            )
            return found if len(found) >= traces else None

        return wait_for(ask, f"{traces} trace(s) of {service!r} in Jaeger", ARRIVAL_TIMEOUT_S)

    def services(self) -> list[str]:
        """The names of the services that have sent spans so far."""
        return list(self._ask("/api/services"))

    def _ask(self, path: str, **parameters: str) -> list[Any]:
        response = requests.get(self.query + path, params=parameters, timeout=ARRIVAL_TIMEOUT_S)
        if response.status_code == 404:  # what Jaeger says of a trace it does not have yet
            return []
        response.raise_for_status()
        return response.json()["data"] or []


def wait_for(ask: Callable[[], Answer | None], what: str, timeout_s: float) -> Answer:
    """Asks again until there is an answer; JaegerError names `what` when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise JaegerError(f"waited {timeout_s:.0f} s for {what}, in vain")
        time.sleep(POLL_INTERVAL_S)


def find_jaeger() -> str | None:
    """The binary: $OTRACE_JAEGER, else what CI's build left in its cache, else jaeger on PATH."""
    named = os.environ.get("OTRACE_JAEGER")
    if named:
        return shutil.which(named)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(os.environ.get("OTRACE_CACHE") or Path(cache) / "otrace-ci")
    return shutil.which(str(folder / f"jaeger-{JAEGER_VERSION}")) or shutil.which("jaeger")


def missing_part() -> str | None:
    """What keeps Jaeger from being used here, in words; None when it is there."""
    if find_jaeger() is None:
        return "no Jaeger binary: run .ci/jaeger (needs Go), or set OTRACE_JAEGER to a v2 binary"
    return None


@contextmanager
def run_jaeger() -> Iterator[Jaeger]:
    """Starts Jaeger, waits until it answers, and ends it afterwards.

    A port that was free may be taken by the time Jaeger binds it: then others are tried.
    """
    binary = find_jaeger()
    assert binary is not None, missing_part()
    with tempfile.TemporaryDirectory(prefix="otrace-jaeger-") as folder:
        for attempt in range(3):
            process, jaeger, log = _start(binary, Path(folder), attempt)
            try:
                if _answers(process, jaeger):
                    yield jaeger
                    return
            finally:
                process.kill()
                process.wait()
        raise JaegerError(f"Jaeger did not start; the end of its log:\n{log.read_text()[-3000:]}")


def _start(binary: str, folder: Path, attempt: int) -> tuple[subprocess.Popen[bytes], Jaeger, Path]:
    names = ("otlp_http", "otlp_grpc", "query", "query_grpc")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    configuration = folder / f"jaeger-{attempt}.yaml"
    configuration.write_text(CONFIGURATION.format(**ports))
    log = folder / f"jaeger-{attempt}.log"
    # Its own telemetry must not follow what a test put into OTEL_* for the traced program.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTRACE_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "--config", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    jaeger = Jaeger(
        otlp_http=f"http://127.0.0.1:{ports['otlp_http']}",
        otlp_grpc=f"http://127.0.0.1:{ports['otlp_grpc']}",
        query=f"http://127.0.0.1:{ports['query']}",
    )
    return process, jaeger, log


def _answers(process: subprocess.Popen[bytes], jaeger: Jaeger) -> bool:
    """True once both receivers and the query API answer; False if the process ends before."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(f"{jaeger.query}/api/services", timeout=1).raise_for_status()
            empty = {"Content-Type": "application/x-protobuf"}
            requests.post(
                f"{jaeger.otlp_http}/v1/traces", data=b"", headers=empty, timeout=1
            ).raise_for_status()
            socket.create_connection(
                ("127.0.0.1", int(jaeger.otlp_grpc.rpartition(":")[2])), timeout=1
            ).close()
        except (requests.RequestException, OSError):
            time.sleep(POLL_INTERVAL_S)
        else:
            return process.poll() is None
    return False


def _free_ports(count: int) -> list[int]:
    """Ports that are free now. All are held until the last is known, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
