"""Sending batches: what is tried again, what is split, and what the user hears of a failure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from otrace.errors import ExportError
from otrace_exporters.otlp.batches import Batch
from otrace_exporters.otlp.configuration import GRPC, Configuration
from otrace_exporters.protobuf import fields

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0


class TooLargeError(Exception):
    """The receiver does not take so much at once."""


class TryAgainError(Exception):
    """The receiver asks to come back; `after_s` is when, if it said so."""

    def __init__(self, cause: str, after_s: float | None = None) -> None:
        super().__init__(cause)
        self.after_s = after_s


class RefusedError(Exception):
    """It failed for good; `cure` is what the user can do."""

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause)
        self.cure = cure


class Channel(Protocol):
    """One protocol's way to send a request."""

    def send(self, request: bytes) -> bytes:
        """Send an ExportTraceServiceRequest; returns the response.

        Raises TooLargeError, TryAgainError or RefusedError.
        """

    def close(self) -> None:
        """Let go of connections."""


@dataclass
class Sender:
    """Sends batches over a channel, and counts."""

    channel: Channel
    configuration: Configuration
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    spans: int = 0
    """Accepted."""
    size: int = 0
    """Bytes sent, before compression."""
    rejected: int = 0
    warnings: list[str] = field(default_factory=list)
    """What the receiver said besides."""

    def send(self, batch: Batch) -> None:
        """Send a batch, in halves if it is too large. Raises ExportError."""
        waiting = [batch]
        while waiting:
            batch = waiting.pop()
            request = batch.encode()
            try:
                response = self._send_patiently(request)
            except TooLargeError:
                halves = batch.split()
                if halves is None:
                    size = f"{len(request):,} bytes"
                    raise self._error(f"it refuses a single span of {size} as too large") from None
                waiting += reversed(halves)
            except RefusedError as error:
                raise self._error(str(error), error.cure) from error
            else:
                self.size += len(request)
                self._read_response(response, batch.count)

    def takes_others(self) -> bool:
        """Whether the receiver takes a request without spans: then it is not what is wrong."""
        try:
            self.channel.send(b"")
        except (TooLargeError, TryAgainError, RefusedError):
            return False
        return True

    def leave_out(self, batch: Batch, error: ExportError) -> None:
        """Count a batch that the receiver will never take."""
        self.rejected += batch.count
        self._warn(str(error))

    def _send_patiently(self, request: bytes) -> bytes:
        deadline = self.clock() + self.configuration.give_up_s
        wait = FIRST_PAUSE_S
        while True:
            try:
                return self.channel.send(request)
            except TryAgainError as error:
                # Half of the pause is chance, so that many senders do not come back at once.
                after = error.after_s
                seconds = wait * (0.5 + self.chance() / 2) if after is None else after
                if self.clock() + seconds > deadline:
                    tried = f"for {self.configuration.give_up_s:g} s"
                    words = tried if after is None else f"and asks to wait for {after:g} s"
                    raise RefusedError(f"{error}, {words}") from error
                self.pause(seconds)
                wait = min(2 * wait, LONGEST_PAUSE_S)

    def _read_response(self, response: bytes, sent: int) -> None:
        rejected, message = read_partial_success(response)
        rejected = min(rejected, sent)
        self.rejected += rejected
        self.spans += sent - rejected
        if message:
            self._warn(message)

    def _warn(self, message: str) -> None:
        if message not in self.warnings and len(self.warnings) < 3:
            self.warnings.append(message)

    def _error(self, cause: str, cure: str = "") -> ExportError:
        text = f"cannot send spans to {self.configuration.shown}: {cause}"
        if cure:
            text += f"; {cure}"
        if self.spans:
            text += f" ({self.spans:,} spans had been sent)"
        return ExportError(text)


def read_partial_success(response: bytes) -> tuple[int, str]:
    """Rejected spans and the message of an ExportTraceServiceResponse; (0, "") for a full one."""
    rejected, message = 0, ""
    try:
        for field_number, partial in fields(response):
            if field_number != 1 or not isinstance(partial, bytes):
                continue
            for inner, value in fields(partial):
                if inner == 1 and isinstance(value, int):
                    rejected = value
                elif inner == 2 and isinstance(value, bytes):
                    message = one_line(value.decode("utf-8", "replace"))
    except ValueError:
        return 0, ""  # some receivers answer with JSON or nothing at all
    return rejected, message


def one_line(text: str, most: int = 200) -> str:
    """Text of a stranger's, fit for a message."""
    line = " ".join(text.split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= most else f"{line[:most]}…"


def connect(configuration: Configuration) -> Channel:
    """The channel for the protocol; its library is imported here. Raises ExportError."""
    try:
        if configuration.protocol == GRPC:
            from otrace_exporters.otlp.grpc_channel import GrpcChannel

            return GrpcChannel(configuration)
        from otrace_exporters.otlp.http_channel import HttpChannel

        return HttpChannel(configuration)
    except (ImportError, OSError, ValueError) as error:
        cause = f"{type(error).__name__}: {one_line(str(error))}"
        raise ExportError(f"cannot send spans to {configuration.shown}: {cause}") from error
