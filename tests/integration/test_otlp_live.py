"""Sending while the program runs, to collectors that misbehave: the program goes on, a line says
what is wrong, and what was not sent comes later, once."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from integration.otlp_receiver import Answer, always, free_port, receiving, spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from .conftest import Otrace

WAIT_S = 60
AGAIN = "it is tried again while the program runs"
PROGRAM = """
import sys

def part(number):
    return number

def job(number):
    for at in range(number):
        part(at)

for line in sys.stdin:
    job(int(line))
    print(line, end="", flush=True)
"""


@contextmanager
def running(
    otrace: Otrace, url: str, *flags: str, **options: str
) -> Iterator[subprocess.Popen[str]]:
    """The program, which handles a request for each line that it reads."""
    otrace.write("app.py", PROGRAM)
    given = {"interval": "100ms", "request": "__main__.job", "give_up": "300ms", **options}
    words = [f"--exporter-option=otlp.{name}={value}" for name, value in given.items()]
    only = ("--include", "__main__", "--no-c-calls")
    process = otrace.start("run", *only, *flags, "--export", f"otlp={url}", *words, "app.py")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def handle(process: subprocess.Popen[str], number: int) -> None:
    """Have the program handle a request with so many parts."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    assert process.stdout.readline() == f"{number}\n"


def end(process: subprocess.Popen[str]) -> str:
    """End the program by the end of its input; the rest of the words on stderr."""
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    return errors


def jobs_in(requests: list[ExportTraceServiceRequest]) -> list[int]:
    """How many parts each request's trace holds; no span comes twice."""
    found: Counter[bytes] = Counter()
    seen = set()
    for request in requests:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    assert (span.trace_id, span.span_id) not in seen
                    seen.add((span.trace_id, span.span_id))
                    if span.name == "__main__.job" and not span.parent_span_id:
                        found[span.trace_id] += 0
                    elif span.name == "__main__.part":
                        found[span.trace_id] += 1
    return sorted(found.values())


class Wanted:
    """Answers as told, and waits until so many requests of the program have arrived."""

    def __init__(self, answer: Callable[[int], Answer | None]) -> None:
        self._answer = answer
        self._changed = threading.Condition()
        self._accepted: list[ExportTraceServiceRequest] = []

    def __call__(self, number: int, request: ExportTraceServiceRequest) -> Answer | None:
        answer = self._answer(number)
        if answer is not None and answer.status == 200:
            with self._changed:
                self._accepted.append(request)
                self._changed.notify_all()
        return answer

    def wait(self, jobs: list[int]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: jobs_in(self._accepted) == jobs, WAIT_S)


def test_an_absent_collector_that_comes_later(otrace: Otrace) -> None:
    port = free_port()
    with running(otrace, f"http://127.0.0.1:{port}") as process:
        handle(process, 1)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"http://127.0.0.1:{port}" in line
        assert "connection refused" in line
        assert AGAIN in line
        wanted = Wanted(lambda number: Answer())
        with receiving(wanted, port) as receiver:
            handle(process, 2)
            wanted.wait([1, 2])
            handle(process, 3)
            errors = end(process)
            assert jobs_in(receiver.accepted) == [1, 2, 3]
        assert len(errors.splitlines()) == 1, errors  # what was sent
    assert otrace.sessions() == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503),
        Answer(503, headers={"Retry-After": "0"}),
        Answer(429, headers={"Retry-After": "1"}),
        Answer(429, headers={"Retry-After": "3600"}),
        Answer(400),
        Answer(401),
        Answer(413),
        None,
    ],
    ids=["503", "503-0s", "429-1s", "429-1h", "400", "401", "413", "closed"],
)
def test_a_collector_that_refuses_for_a_while(otrace: Otrace, answer: Answer | None) -> None:
    wanted = Wanted(lambda number: answer if 2 <= number <= 4 else Answer())
    with receiving(wanted) as receiver:
        with running(otrace, receiver.url) as process:
            handle(process, 1)
            wanted.wait([1])
            handle(process, 2)
            handle(process, 3)
            wanted.wait([1, 2, 3])
            errors = end(process)
        assert jobs_in(receiver.accepted) == [1, 2, 3]
        assert "app.py" in spans(receiver.accepted)
    told = [line for line in errors.splitlines() if AGAIN in line]
    assert len(told) <= 1
    assert all(receiver.url in line for line in told)
    assert len(errors.splitlines()) == len(told) + 1
    assert otrace.sessions() == []


def test_what_is_refused_for_ever_holds_nothing_up(otrace: Otrace) -> None:
    """A collector that refuses one request for what is in it: those behind it arrive."""

    refusals = threading.Semaphore(0)

    def answer(number: int, request: ExportTraceServiceRequest) -> Answer | None:
        if jobs_in([request]) != [2]:
            return wanted(number, request)
        refusals.release()
        return Answer(400, b"bad")

    wanted = Wanted(lambda number: Answer())
    with receiving(answer) as receiver:
        with running(otrace, receiver.url) as process:
            handle(process, 1)
            wanted.wait([1])
            handle(process, 2)
            assert refusals.acquire(timeout=WAIT_S)
            assert refusals.acquire(timeout=WAIT_S)
            handle(process, 3)
            wanted.wait([1, 3])
            errors = end(process)
        refused = [request for request in receiver.requests if jobs_in([request]) == [2]]
    assert len(refused) == 2
    (line,) = errors.splitlines()
    assert f"{len(spans(refused[:1]))} spans rejected by the receiver" in line
    assert "it answered 400 Bad Request: bad" in line
    assert otrace.sessions() == []


def numbers_of(requests: list[ExportTraceServiceRequest], name: str) -> list[dict[str, int]]:
    """The attributes with numbers of all roots of this name."""
    return [
        {entry.key: entry.value.int_value for entry in span.attributes}
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.name == name and not span.parent_span_id
    ]


def test_what_was_overwritten_before_it_was_sent_is_counted(otrace: Otrace) -> None:
    wanted = Wanted(lambda number: Answer())
    with receiving(wanted) as receiver:
        with running(otrace, receiver.url, "--buffer-size", "1MiB") as process:
            handle(process, 3)
            wanted.wait([3])
            handle(process, 300_000)  # in one request: more than the buffer holds
            end(process)
        roots = numbers_of(receiver.accepted, "app.py")
        (run,) = (root for root in roots if "process.exit.code" in root)
        calls = [
            root["otrace.total.calls"] for root in numbers_of(receiver.accepted, "__main__.job")
        ]
    assert min(calls) == 4
    assert 10_000 < max(calls) < 300_000
    assert run["otrace.lost.calls"] > 100_000
    # Every call of the second request was shown or is counted; the first one may be counted too.
    assert 300_001 <= max(calls) + run["otrace.lost.calls"] <= 300_001 + 4 + 1


def check_kept(otrace: Otrace, errors: str, words: str) -> None:
    """One line while it ran, one at the end, and the recording can be exported."""
    first, last = errors.splitlines()
    assert AGAIN in first
    assert words in first
    assert words in last
    assert "the recording is kept" in last
    (kept,) = otrace.folder.glob("*.otrace")
    with receiving(always(Answer())) as receiver:
        option = "--exporter-option=otlp.request=__main__.job"
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        otrace("export", kept, "--to", "otlp", option, env=environment)
        assert jobs_in(receiver.accepted) == [1, 2]


def test_a_collector_that_goes_for_good(otrace: Otrace) -> None:
    gone = threading.Event()
    wanted = Wanted(lambda number: None if gone.is_set() else Answer())
    with ExitStack() as stack:
        with receiving(wanted) as receiver:
            process = stack.enter_context(running(otrace, receiver.url))
            handle(process, 1)
            wanted.wait([1])
            gone.set()  # connections that are kept open end too
        handle(process, 2)
        assert process.stderr is not None
        first = process.stderr.readline()
        check_kept(otrace, first + end(process), receiver.url)


def test_a_collector_that_never_answers(otrace: Otrace) -> None:
    def hang(number: int, request: ExportTraceServiceRequest) -> None:
        receiver.over.wait(WAIT_S)

    with receiving(hang) as receiver, running(otrace, receiver.url, timeout="0.2") as process:
        for number in (1, 2):
            handle(process, number)  # the program does not wait
        assert process.stderr is not None
        first = process.stderr.readline()
        errors = first + end(process)
        receiver.over.set()
    check_kept(otrace, errors, "no answer within 0.2 s")


def test_a_collector_without_tls(otrace: Otrace) -> None:
    with (
        receiving(always(Answer())) as receiver,
        running(otrace, receiver.url.replace("http", "https")) as process,
    ):
        for number in (1, 2):
            handle(process, number)
        assert process.stderr is not None
        first = process.stderr.readline()
        errors = first + end(process)
    check_kept(otrace, errors, "TLS failed")


def test_the_supervisors_death_ends_the_sender(otrace: Otrace) -> None:
    wanted = Wanted(lambda number: Answer())
    with receiving(wanted) as receiver, running(otrace, receiver.url) as process:
        handle(process, 1)
        wanted.wait([1])
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            sender = max(map(int, file.read().split()))
        watched = os.pidfd_open(sender)
        process.send_signal(signal.SIGKILL)
        try:
            assert select.select([watched], [], [], WAIT_S)[0]
        finally:
            os.close(watched)
        assert process.stdin is not None
        process.stdin.close()  # the program goes on until its input ends
