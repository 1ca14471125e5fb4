"""Servers as people start, ask and end them; and what is left of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
START_S = 60.0
END_S = 30.0
REQUESTS = 8
PYTHON = (sys.executable, "-m")
GUNICORN = (*PYTHON, "gunicorn", "--bind=127.0.0.1:{port}", "--log-level=warning", "--workers=2")
UVICORN = (*PYTHON, "uvicorn", "served:asgi", "--port={port}", "--log-level=warning")
HYPERCORN = (*PYTHON, "hypercorn", "--bind=127.0.0.1:{port}", "--log-level=warning")
UWSGI = (
    *(str(Path(sys.executable).with_name("uwsgi")), "--http-socket=127.0.0.1:{port}"),
    *("--master", "--die-on-term", "--processes=2", "--need-app", "--disable-logging"),
    *("--enable-threads", "--lazy-apps", f"--virtualenv={sys.prefix}", f"--pythonpath={HERE}"),
    "--module=served:wsgi",
)
FLASK = (*PYTHON, "flask", "--app=served_flask", "run", "--port={port}")
DJANGO = (sys.executable, str(HERE / "served_django.py"), "runserver", "{port}")
CELERY = (
    *(*PYTHON, "celery", "--app=served_celery", "worker", "--pool=prefork", "--concurrency=2"),
    *("--loglevel=WARNING", "--without-gossip", "--without-mingle"),
)
ASGI_WORKER = "--worker-class=uvicorn_worker.UvicornWorker"


@dataclass(frozen=True)
class Server:
    """A way to serve; {port} in the command is where."""

    command: tuple[str, ...]
    loads: int = 1
    """How many processes load the application."""
    signum: int = signal.SIGTERM
    """What ends it: SIGINT goes to all its processes, as Ctrl-C in a terminal does."""
    often: bool = False
    """Tried each time; the others with OTRACE_ALL_SERVERS=1."""
    tasks: bool = False
    """Takes its work from a folder."""


SERVERS = {
    "gunicorn": Server((*GUNICORN, "served:wsgi"), loads=2),
    "gunicorn int": Server((*GUNICORN, "served:wsgi"), loads=2, signum=signal.SIGINT),
    "gunicorn preload": Server((*GUNICORN, "--preload", "served:wsgi"), often=True),
    "gunicorn gthread": Server((*GUNICORN, "--threads=3", "served:wsgi"), loads=2),
    "gunicorn gthread preload": Server((*GUNICORN, "--threads=3", "--preload", "served:wsgi")),
    "gunicorn max requests": Server((*GUNICORN, "--max-requests=3", "served:wsgi"), loads=2),
    "gunicorn uvicorn": Server((*GUNICORN, ASGI_WORKER, "served:asgi"), loads=2),
    "gunicorn uvicorn preload": Server((*GUNICORN, ASGI_WORKER, "--preload", "served:asgi")),
    "uvicorn": Server(UVICORN),
    "uvicorn int": Server(UVICORN, signum=signal.SIGINT),
    "uvicorn workers": Server((*UVICORN, "--workers=2"), loads=2, often=True),
    "uvicorn reload": Server((*UVICORN, "--reload")),
    "hypercorn": Server((*HYPERCORN, "served:asgi")),
    "hypercorn workers": Server((*HYPERCORN, "--workers=2", "served:asgi"), loads=2),
    "uwsgi": Server(UWSGI, loads=2),
    "flask": Server(FLASK),
    "flask reload": Server((*FLASK, "--debug"), loads=2, signum=signal.SIGINT, often=True),
    "django": Server((*DJANGO, "--noreload")),
    "django reload": Server(DJANGO, loads=2, signum=signal.SIGINT),
    "celery": Server(CELERY, tasks=True),
    "celery one task a child": Server((*CELERY, "--max-tasks-per-child=1"), tasks=True, often=True),
}


@dataclass(frozen=True)
class Ended:
    """A server that has ended."""

    status: int
    words: list[str]
    """What it said, in an order of its own, less numbers and folders."""
    truth: list[dict[str, Any]]
    """What it says that it did: see served.py."""
    left: list[int]
    """Its processes that live on."""


class Running:
    """A server in a session of its own."""

    def __init__(
        self, server: Server, port: int, folder: Path, before: tuple[str, ...], **extra: str
    ) -> None:
        folder.mkdir()
        self._server, self._port = server, port
        self._truth, self._words = folder / "truth.jsonl", folder / "words.txt"
        self._truth.touch()
        temporary, self._broker = folder / "tmp", folder / "broker"
        temporary.mkdir()
        self._broker.mkdir()
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("OTRACE_", "OTEL_"))},
            "PYTHONPATH": str(HERE),
            "TMPDIR": str(temporary),
            "SERVED_TRUTH": str(self._truth),
            "SERVED_BROKER": str(self._broker),
            **extra,
        }
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [*before, *(word.replace("{port}", str(port)) for word in server.command)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                env=self._environment,
            )

    def ask(self) -> None:
        """Some requests, all answered."""
        if self._server.tasks:
            words = f"for n in range({REQUESTS}): served_celery.answer.delay(n % 3)"
            subprocess.run(
                [sys.executable, "-c", f"import served_celery\n{words}"],
                env={**self._environment, "SERVED_TRUTH": os.devnull, "SERVED_SETUP": ""},
                check=True,
                timeout=START_S,
            )
            self._wait_for(lambda: self._count("calls") >= REQUESTS)
            return
        self._wait_for(lambda: self._get("/0"))
        self._wait_for(lambda: self._count("loaded") >= self._server.loads)
        with ThreadPoolExecutor(3) as pool:
            assert all(pool.map(lambda number: self._get(f"/{number % 3}"), range(REQUESTS)))

    def end(self) -> Ended:
        """Ends it, and waits until its processes are gone."""
        if self._server.signum == signal.SIGINT:
            os.killpg(self._process.pid, signal.SIGINT)
        else:
            os.kill(self._process.pid, self._server.signum)
        status = self._process.wait(END_S)
        deadline = time.monotonic() + END_S / 3
        while (left := self._living()) and time.monotonic() < deadline:
            time.sleep(0.02)
        text = re.sub(r"0x[0-9a-f]+|\d+", "N", self._words.read_text())
        # Requests come in any order; uWSGI names its folder.
        words = [line for line in text.splitlines() if "GET /N" not in line]
        words = sorted(line for line in words if "directory: " not in line)
        return Ended(status, words, self._told(), left)

    def kill(self) -> None:
        """Ends what is left of it."""
        for pid in self._living():
            os.kill(pid, signal.SIGKILL)
        self._process.wait(END_S)

    def _get(self, path: str) -> bool:
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=END_S) as answer:
                return bool(answer.read())
        except (ConnectionError, urllib.error.URLError):
            return False

    def _told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._truth.read_text().splitlines()]

    def _count(self, key: str) -> int:
        return sum(key in told and not told.get("import") for told in self._told())

    def _wait_for(self, ask: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not ask():
            assert self._process.poll() is None, self._words.read_text()
            assert time.monotonic() < deadline, self._words.read_text()
            time.sleep(0.05)

    def _living(self) -> list[int]:
        """The processes of its session."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self._process.pid and fields[0] != "Z":
                found.append(int(name))
        return found
