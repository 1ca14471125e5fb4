"""Options and OpenTelemetry's variables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from otrace.errors import UsageError
from otrace_exporters.otlp import OtlpExporter
from otrace_exporters.otlp.configuration import configure, is_disabled

Environment = dict[str, str]
PREFIX, TRACES = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "http://host:1"}, "http://host:1/v1/traces"),
        ({"ENDPOINT": "http://host:1/"}, "http://host:1/v1/traces"),
        ({"ENDPOINT": "https://host/base/"}, "https://host/base/v1/traces"),
        ({"ENDPOINT": "http://host/v1/traces"}, "http://host/v1/traces"),
        ({"TRACES_ENDPOINT": "http://host:1"}, "http://host:1/"),
        ({"TRACES_ENDPOINT": "http://host/x?y=1", "ENDPOINT": "http://no"}, "http://host/x?y=1"),
        ({"ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/traces"),
        ({"PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://host:1/ignored"}, "https://host:1"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "host:1"}, "https://host:1"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "host:1", "INSECURE": "true"}, "http://host:1"),
        ({"PROTOCOL": "http/protobuf", "TRACES_PROTOCOL": "grpc"}, "http://localhost:4317"),
    ],
)
def test_endpoints(environment: Environment, url: str) -> None:
    environment = {PREFIX + key: value for key, value in environment.items()}
    assert configure(None, {}, environment).url == url


def test_an_option_comes_before_the_environment_and_a_target_before_it() -> None:
    environment = {TRACES + "ENDPOINT": "http://c", PREFIX + "COMPRESSION": "none"}
    options = {"endpoint": "http://b", "compression": "gzip"}
    assert configure(None, options, environment).url == "http://b/v1/traces"
    assert configure("http://a", options, environment).url == "http://a/v1/traces"
    assert configure(None, options, environment).compression == "gzip"


def test_headers_are_decoded_and_never_shown() -> None:
    environment = {PREFIX + "HEADERS": "Authorization=Basic%20c2VjcmV0, x-tenant = a ,"}
    configuration = configure(None, {}, environment)
    assert configuration.headers == {"authorization": "Basic c2VjcmV0", "x-tenant": "a"}
    assert "c2VjcmV0" not in repr(configuration)


def test_an_address_is_shown_without_its_password() -> None:
    configuration = configure("http://user:secret@host:1?token=secret", {}, {})
    assert configuration.shown == "http://host:1/v1/traces"
    assert "user:secret@" in configuration.url


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 10.0), ("0.5", 0.5), ("10000", 10.0), ("1500", 1.5)]
)
def test_timeouts_are_seconds_or_milliseconds(text: str, seconds: float) -> None:
    assert configure(None, {}, {PREFIX + "TIMEOUT": text}).timeout_s == seconds


def test_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("x")
    environment = {TRACES + "CERTIFICATE": str(file), PREFIX + "CLIENT_KEY": str(file)}
    configuration = configure(None, {}, environment)
    assert configuration.certificate == configuration.client_key == str(file)
    assert configuration.client_certificate is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({PREFIX + "PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'"),
        ({PREFIX + "ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT is"),
        ({PREFIX + "ENDPOINT": "ftp://host"}, "write it as http://HOST:PORT"),
        ({PREFIX + "ENDPOINT": "http://"}, "write it as http://HOST:PORT"),
        ({PREFIX + "ENDPOINT": "http://host:0"}, "write it as http://HOST:PORT"),
        ({PREFIX + "ENDPOINT": "http://host:99999"}, "write it as http://HOST:PORT"),
        ({PREFIX + "ENDPOINT": "http://a b"}, "write it as http://HOST:PORT"),
        ({TRACES + "HEADERS": "a=1,secret"}, "header 2 of OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
        ({TRACES + "HEADERS": "a=x%0d%0ay"}, "header 1 of"),
        ({PREFIX + "TIMEOUT": "soon"}, "OTEL_EXPORTER_OTLP_TIMEOUT is 'soon'"),
        ({PREFIX + "TIMEOUT": "-1"}, "write seconds"),
        ({PREFIX + "TIMEOUT": "nan"}, "write seconds"),
        ({PREFIX + "COMPRESSION": "zstd"}, "it can be gzip or none"),
        ({PREFIX + "CERTIFICATE": "/no/such"}, "there is no such file"),
        ({PREFIX + "INSECURE": "perhaps"}, "true or false"),
    ],
)
def test_what_cannot_be_used_is_named(environment: Environment, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        configure(None, {}, environment)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_wrong_address_with_a_password_is_not_shown() -> None:
    with pytest.raises(UsageError) as raised:
        configure("http://user:secret@host:x", {}, {})
    assert "secret" not in str(raised.value)


def test_check_looks_at_target_and_options() -> None:
    exporter = OtlpExporter()
    exporter.check(None, {})
    with pytest.raises(UsageError, match=r"option otlp\.endpoint is 'nonsense'"):
        exporter.check("nonsense", {})
    with pytest.raises(UsageError, match=r"option otlp\.protocol"):
        exporter.check(None, {"protocol": "thrift"})


@pytest.mark.parametrize(("text", "disabled"), [("true", True), ("TRUE", True), ("1", False)])
def test_the_sdk_can_be_disabled(text: str, disabled: bool) -> None:
    assert is_disabled({"OTEL_SDK_DISABLED": text}) is disabled


def test_checking_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from otrace_exporters.otlp import OtlpExporter; "
        "OtlpExporter().check('http://host:1', {'protocol': 'grpc', 'headers': 'a=b'});"
        "heavy = ('requests', 'grpc', 'google', 'opentelemetry', 'otrace.recording', 'ssl');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"
