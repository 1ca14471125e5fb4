"""The resource of a process: who sent its spans."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from otrace_exporters.otlp.wire import Value, key_value
from otrace_exporters.protobuf import bytes_field, text_field

if TYPE_CHECKING:
    from otrace.recording import Process, Recording

RESOURCE_ATTRIBUTES = 1


def parse_attributes(text: str) -> dict[str, str]:
    """OTEL_RESOURCE_ATTRIBUTES: `key=value,…`, percent-encoded. Broken pairs are left out."""
    found: dict[str, str] = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found[key.strip()] = unquote(value.strip())
    return found


def service_name(program: str, environment: Mapping[str, str], given: str) -> str:
    """The option, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, or `unknown_service:<program>`."""
    attributes = parse_attributes(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    return (
        given
        or environment.get("OTEL_SERVICE_NAME", "").strip()
        or attributes.get("service.name", "")
        or f"unknown_service:{program or 'python'}"
    )


def attributes_of(
    process: Process, recording: Recording, service: str, environment: Mapping[str, str]
) -> dict[str, Value]:
    """The resource's attributes: what is known of the process, then what the user says."""
    host = socket.gethostname()
    instance = f"{host}/{recording.start_wall_ns}/{process.pid}/{process.start_ns}"
    attributes: dict[str, Value] = {
        "service.instance.id": str(uuid.uuid5(uuid.NAMESPACE_URL, instance)),
        "host.name": host,
        "os.type": os.uname().sysname.lower(),
        "process.pid": process.pid,
        "process.parent_pid": process.parent_pid,
        "process.runtime.name": "cpython",
        "process.runtime.version": process.python_version,
    }
    attributes.update(parse_attributes(environment.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    attributes["service.name"] = service
    return attributes


def encode(attributes: Mapping[str, Value]) -> bytes:
    """A Resource."""
    return b"".join(key_value(RESOURCE_ATTRIBUTES, key, value) for key, value in attributes.items())


def encode_scope(version: str) -> bytes:
    """The InstrumentationScope of all spans."""
    return text_field(1, "otrace") + text_field(2, version)


def encode_header(resource: bytes, scope: bytes) -> tuple[bytes, bytes]:
    """What comes before the spans: ResourceSpans' field `resource`, ScopeSpans' field `scope`."""
    return bytes_field(1, resource), bytes_field(1, scope)
