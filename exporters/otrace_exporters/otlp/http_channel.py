"""OTLP over HTTP: protobuf in a POST. Imports requests: only for an export."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC

import requests

from otrace_exporters.otlp.configuration import Configuration
from otrace_exporters.otlp.transport import (
    RefusedError,
    TooLargeError,
    TryAgainError,
    one_line,
)
from otrace_exporters.protobuf import fields

GZIP_LEVEL, GZIP_WBITS = 3, 31
TRY_AGAIN = (429, 502, 503, 504)
TOO_LARGE = 413
RESPONSE_MAX = 1 << 16
START_ONE = "start a collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT"
CURES = {
    401: "set OTEL_EXPORTER_OTLP_HEADERS to what it wants to see",
    403: "set OTEL_EXPORTER_OTLP_HEADERS to what it wants to see",
    404: "it has no such path; is it an OTLP/HTTP endpoint?",
    405: "is it an OTLP/HTTP endpoint?",
    415: "it does not take protobuf",
}


class HttpChannel:
    """A connection that is kept open between requests."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._reached = False
        self._session = requests.Session()
        self._session.headers.update(
            {"Content-Type": "application/x-protobuf", "User-Agent": user_agent()}
        )
        if configuration.compression == "gzip":
            self._session.headers["Content-Encoding"] = "gzip"
        self._session.headers.update(configuration.headers)
        self._verify = configuration.certificate or True
        certificate, key = configuration.client_certificate, configuration.client_key
        self._certificate = (certificate, key) if certificate and key else certificate

    def send(self, request: bytes) -> bytes:
        """POST a request; returns the body of the answer."""
        if self._configuration.compression == "gzip":
            packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WBITS)
            request = packer.compress(request) + packer.flush()
        try:
            response = self._session.post(
                self._configuration.url,
                data=request,
                timeout=self._configuration.timeout_s,
                verify=self._verify,
                cert=self._certificate,
                allow_redirects=False,
                stream=True,
            )
            with response:
                body = response.raw.read(RESPONSE_MAX, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise self._judge_error(error) from error
        except Exception as error:  # urllib3's own, while the answer is read
            raise RefusedError(f"its answer broke off: {one_line(str(error))}") from error
        self._reached = True
        return self._judge(response, body)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _judge(self, response: requests.Response, body: bytes) -> bytes:
        status = response.status_code
        if 200 <= status < 300:
            return body
        said = f"it answered {status} {one_line(response.reason or '', 60)}".rstrip()
        if status in TRY_AGAIN:
            raise TryAgainError(said, retry_after(response.headers.get("Retry-After")))
        if status == TOO_LARGE:
            raise TooLargeError(said)
        if 300 <= status < 400:
            where = one_line(response.headers.get("Location", "elsewhere"))
            raise RefusedError(f"{said}: it has moved to {where}")
        reason = reason_in(body)
        raise RefusedError(f"{said}: {reason}" if reason else said, CURES.get(status, ""))

    def _judge_error(self, error: Exception) -> Exception:
        seconds = f"{self._configuration.timeout_s:g} s"
        if isinstance(error, requests.ConnectTimeout):
            return RefusedError(f"no connection within {seconds}", START_ONE)
        if isinstance(error, requests.Timeout) or "timed out" in str(error):
            return RefusedError(f"no answer within {seconds}")
        if isinstance(error, requests.exceptions.SSLError):
            cure = "OTEL_EXPORTER_OTLP_CERTIFICATE names the authority to trust"
            return RefusedError(f"TLS failed: {tls_reason(error)}", cure)
        cause = cause_of(error)
        if self._reached:  # a collector that is being restarted, or a connection it gave up
            return TryAgainError(cause)
        return RefusedError(cause, START_ONE)


def user_agent() -> str:
    """Who sends, as OTLP wants exporters to say."""
    from otrace import __version__

    return f"otrace/{__version__}"


def retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header, a number or a date."""
    if not text:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    from datetime import datetime
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [getattr(found, "reason", None), *found.args]
            waiting += [found.__cause__, found.__context__]


def cause_of(error: BaseException) -> str:
    """In the system's words: connection refused, name not known."""
    text = ""
    for found in chain(error):
        if isinstance(found, OSError) and found.strerror:
            text = found.strerror
            if found.errno is not None:
                return text[0].lower() + text[1:]
    if text:
        return text
    if any("closed connection" in str(found) or "aborted" in str(found) for found in chain(error)):
        return "it closed the connection without an answer"
    return one_line(str(error))


def tls_reason(error: BaseException) -> str:
    """OpenSSL's words for what is wrong."""
    for found in chain(error):
        for name in ("verify_message", "strerror"):
            text = getattr(found, name, None)
            if isinstance(text, str) and text:
                return one_line(text)
    return one_line(str(error))


def reason_in(body: bytes) -> str:
    """The message of a google.rpc.Status, or a short text; empty for anything else."""
    try:
        for number, value in fields(body):
            if number == 2 and isinstance(value, bytes):
                return one_line(value.decode("utf-8"))
    except ValueError:
        pass
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if "<" in text else one_line(text)
