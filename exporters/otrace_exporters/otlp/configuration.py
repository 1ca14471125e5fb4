"""Where spans are sent and how: the exporter's options, then OpenTelemetry's variables.

`OTEL_EXPORTER_OTLP_TRACES_X` comes before `OTEL_EXPORTER_OTLP_X`, an option before both. This is
read before the program starts: it imports nothing heavy and touches no network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from otrace.config import parse_bool
from otrace.errors import UsageError

HTTP, GRPC = "http/protobuf", "grpc"
TRACES_PATH = "/v1/traces"
DEFAULT_ENDPOINTS = {HTTP: "http://localhost:4318", GRPC: "http://localhost:4317"}
DEFAULT_TIMEOUT_S = 10.0
MILLISECONDS_FROM = 1000.0


@dataclass(frozen=True)
class Configuration:
    """How to reach the collector."""

    protocol: str
    url: str
    """http: the whole address; grpc: scheme://host:port."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    """Of one request."""
    give_up_s: float = 30.0
    """How long one request is tried again, in all."""
    compression: str = "none"
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure: bool = False

    @property
    def shown(self) -> str:
        """The address for messages: without a user's name and password."""
        scheme, separator, rest = self.url.partition("?")[0].partition("://")
        authority = authority_of(rest)
        path = rest[len(authority) :]
        return f"{scheme}{separator}{authority.rpartition('@')[2]}{path}"


class Settings:
    """Reads one setting after the other; knows where each value came from."""

    def __init__(self, options: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._options = options
        self._environment = environment

    def find(self, option: str, variable: str) -> tuple[str, str]:
        """The value and its origin; ("", "") when it is given nowhere."""
        given = self._options.get(option)
        if given is not None and str(given).strip():
            return str(given).strip(), f"option otlp.{option}"
        for prefix in ("OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"):
            text = self._environment.get(prefix + variable, "").strip()
            if text:
                return text, prefix + variable
        return "", ""


def configure(
    target: str | None, options: Mapping[str, object], environment: Mapping[str, str]
) -> Configuration:
    """Everything about sending. Raises UsageError, which names the option or variable at fault."""
    settings = Settings({**options, **({"endpoint": target} if target else {})}, environment)
    protocol = read_protocol(settings)
    timeout, origin = settings.find("timeout", "TIMEOUT")
    give_up = options.get("give_up")
    return Configuration(
        protocol=protocol,
        url=read_endpoint(settings, protocol),
        headers=read_headers(settings),
        timeout_s=read_timeout(timeout, origin),
        give_up_s=give_up if isinstance(give_up, float) else 30.0,
        compression=read_compression(settings),
        certificate=read_file(settings, "certificate"),
        client_certificate=read_file(settings, "client_certificate"),
        client_key=read_file(settings, "client_key"),
        insecure=read_insecure(settings),
    )


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Whether OTEL_SDK_DISABLED says that nothing is to be sent."""
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def read_protocol(settings: Settings) -> str:
    """`http/protobuf` or `grpc`."""
    text, origin = settings.find("protocol", "PROTOCOL")
    protocol = {"": HTTP, "http": HTTP, HTTP: HTTP, GRPC: GRPC}.get(text.lower())
    if protocol is None:
        raise UsageError(f"{origin} is {text!r}: otrace sends {HTTP} or {GRPC}")
    return protocol


def read_endpoint(settings: Settings, protocol: str) -> str:
    """The address. The path is added to a general endpoint, and not to one for traces."""
    text, origin = settings.find("endpoint", "ENDPOINT")
    if not text:
        text, origin = DEFAULT_ENDPOINTS[protocol], "the default endpoint"
    scheme, separator, rest = text.partition("://")
    if not separator and protocol == GRPC:
        scheme, rest = ("http" if read_insecure(settings) else "https"), text
    elif scheme.lower() not in ("http", "https"):
        raise UsageError(f"{origin} is {hidden(text)!r}: write it as http://HOST:PORT")
    authority = authority_of(rest)
    path = rest[len(authority) :].removeprefix("/")
    check_authority(authority, origin, text)
    if protocol == GRPC:
        return f"{scheme.lower()}://{authority}"
    is_whole = origin == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    path, question, query = path.partition("?")
    if not is_whole and not f"/{path.rstrip('/')}".endswith(TRACES_PATH):
        path = (path.rstrip("/") + TRACES_PATH).lstrip("/")
    return f"{scheme.lower()}://{authority}/{path}{question}{query}"


def authority_of(rest: str) -> str:
    """What stands before the path or the query."""
    for mark in "/?#":
        rest = rest.partition(mark)[0]
    return rest


def check_authority(authority: str, origin: str, text: str) -> None:
    """Raise UsageError when there is no host, or the port is none."""
    host_port = authority.rpartition("@")[2]
    host, colon, port = host_port.rpartition(":")
    if not colon or "]" in port:  # no port, or the colons of an IPv6 address
        host, port = host_port, ""
    wrong_port = port != "" and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    if not host or wrong_port or any(c.isspace() or not c.isprintable() for c in authority):
        raise UsageError(f"{origin} is {hidden(text)!r}: write it as http://HOST:PORT")


def hidden(text: str) -> str:
    """An address without a user's name and password, and without a query."""
    before, at, after = text.partition("?")[0].rpartition("@")
    return f"{before.partition('://')[0]}://***@{after}" if at else after


def read_headers(settings: Settings) -> dict[str, str]:
    """`key=value,key=value`, percent-encoded. Values are secrets: no message shows them."""
    text, origin = settings.find("headers", "HEADERS")
    if not text:
        return {}
    from urllib.parse import unquote

    headers: dict[str, str] = {}
    for number, pair in enumerate(text.split(","), start=1):
        if not pair.strip():
            continue
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()).lower(), unquote(value.strip())
        if not equals or not key or not is_header(key + value) or " " in key:
            raise UsageError(
                f"header {number} of {origin} is no key=value; separate them by commas"
            )
        headers[key] = value
    return headers


def is_header(text: str) -> bool:
    """Whether it can stand in a header."""
    return all(" " <= character <= "~" for character in text)


def read_timeout(text: str, origin: str) -> float:
    """Seconds; from 1000 on they are milliseconds.

    The specification says milliseconds and Python's SDK reads seconds: so both work.
    """
    if not text:
        return DEFAULT_TIMEOUT_S
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise UsageError(f"{origin} is {text!r}: write seconds, or milliseconds from 1000 on")
    return number / 1000 if number >= MILLISECONDS_FROM else number


def read_compression(settings: Settings) -> str:
    """`gzip` or `none`."""
    text, origin = settings.find("compression", "COMPRESSION")
    if text.lower() not in ("", "none", "gzip"):
        raise UsageError(f"{origin} is {text!r}: it can be gzip or none")
    return text.lower() or "none"


def read_file(settings: Settings, name: str) -> str | None:
    """The path of a certificate or key that exists."""
    path, origin = settings.find(name, name.upper())
    if path and not os.path.isfile(path):
        raise UsageError(f"{origin} names {path}, and there is no such file")
    return path or None


def read_insecure(settings: Settings) -> bool:
    """Whether grpc to an endpoint without a scheme goes without TLS."""
    text, origin = settings.find("insecure", "INSECURE")
    try:
        return bool(text) and parse_bool(text)
    except ValueError:
        raise UsageError(f"{origin} is {text!r}: it can be true or false") from None
