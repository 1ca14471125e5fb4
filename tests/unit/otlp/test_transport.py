"""What is tried again, what is split, and what is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otrace.errors import ExportError
from otrace_exporters.otlp import resource
from otrace_exporters.otlp.batches import Batch, Spans
from otrace_exporters.otlp.configuration import configure
from otrace_exporters.otlp.spans import OwnSpan, Trace
from otrace_exporters.otlp.transport import (
    RefusedError,
    Sender,
    TooLargeError,
    TryAgainError,
    one_line,
)


class FakeChannel:
    """Answers by a function of the request and its number; remembers what it took."""

    def __init__(self, answer: Callable[[int, ExportTraceServiceRequest], bytes]) -> None:
        self.answer = answer
        self.asked = 0
        self.taken: list[str] = []

    def send(self, request: bytes) -> bytes:
        self.asked += 1
        decoded = ExportTraceServiceRequest.FromString(request)
        response = self.answer(self.asked, decoded)
        self.taken += names(decoded)
        return response

    def close(self) -> None:
        pass


class Clock:
    """Time that passes by pauses alone."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def names(request: ExportTraceServiceRequest) -> list[str]:
    return [
        span.name
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]


def batch(count: int) -> Batch:
    head, scope = resource.encode_header(b"", resource.encode_scope("1"))
    trace = Trace(bytes(range(16)))
    data = b"".join(
        OwnSpan(f"s{number}", b"12345678", b"", 1, 2, {}).encode(trace) for number in range(count)
    )
    return Batch([Spans(head, scope, data, count)])


def sender(channel: FakeChannel, clock: Clock | None = None) -> Sender:
    clock = clock or Clock()
    return Sender(
        channel,
        configure("http://host:1", {"give_up": 30.0}, {}),
        pause=clock.pause,
        clock=lambda: clock.now,
        chance=lambda: 1.0,
    )


def test_pauses_grow_until_it_works() -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        if number < 5:
            raise TryAgainError("it answered 503")
        return b""

    clock = Clock()
    sending = sender(FakeChannel(answer), clock)
    sending.send(batch(3))
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0]
    assert (sending.spans, sending.rejected) == (3, 0)


def test_the_receiver_says_when_to_come_back() -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        if number == 1:
            raise TryAgainError("it answered 429", 7.0)
        return b""

    clock = Clock()
    sender(FakeChannel(answer), clock).send(batch(1))
    assert clock.pauses == [7.0]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (None, "for 30 s"),
        (7.0, "and asks to wait for 7 s"),
        (3600.0, "and asks to wait for 3600 s"),
    ],
)
def test_it_gives_up_in_time(after: float | None, words: str) -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        raise TryAgainError("it answered 503 Busy", after)

    clock = Clock()
    with pytest.raises(ExportError) as raised:
        sender(FakeChannel(answer), clock).send(batch(1))
    assert sum(clock.pauses) <= 30
    message = "cannot send spans to http://host:1/v1/traces: it answered 503 Busy"
    assert str(raised.value) == f"{message}, {words}"


@pytest.mark.parametrize("most", [1, 2, 7])
def test_what_is_too_large_goes_in_pieces(most: int) -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        if len(names(request)) > most:
            raise TooLargeError("it answered 413")
        return b""

    channel = FakeChannel(answer)
    sending = sender(channel)
    sending.send(batch(20))
    assert channel.taken == [f"s{number}" for number in range(20)]
    assert sending.spans == 20


def test_a_span_that_is_too_large_is_told() -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        if "s1" in names(request):
            raise TooLargeError("it answered 413")
        return b""

    with pytest.raises(ExportError, match=r"refuses a single span of .* \(1 spans had been sent\)"):
        sender(FakeChannel(answer)).send(batch(2))


def test_a_refusal_is_not_tried_again() -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        raise RefusedError("it answered 401 Unauthorized", "set the headers")

    channel = FakeChannel(answer)
    with pytest.raises(ExportError, match="401 Unauthorized; set the headers"):
        sender(channel).send(batch(1))
    assert channel.asked == 1


def test_a_partial_success_is_counted_and_quoted() -> None:
    def answer(number: int, request: ExportTraceServiceRequest) -> bytes:
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 2
        response.partial_success.error_message = "too\nold"
        return response.SerializeToString()

    sending = sender(FakeChannel(answer))
    sending.send(batch(5))
    sending.send(batch(5))
    assert (sending.spans, sending.rejected, sending.warnings) == (6, 4, ["too old"])


def test_strangers_words_are_made_fit() -> None:
    assert one_line("a\n b\x1b[31m\tc") == "a b?[31m c"
    assert len(one_line("x" * 1000)) == 201
