"""The form of docker-compose.yml and of what it mounts; no engine is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / "examples" / "compose"


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def compose_command() -> list[str] | None:
    """`docker compose` or `docker-compose`, whichever is here."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run(
                [*command, "version"], capture_output=True, timeout=60
            ).returncode
        ):
            return command
    return None


@pytest.mark.skipif(compose_command() is None, reason="neither docker compose nor docker-compose")
def test_compose_accepts_the_file() -> None:
    command = compose_command()
    assert command is not None
    words = [*command, "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_three_services_with_pinned_images() -> None:
    found = services()
    assert set(found) == {"app", "collector", "jaeger"}
    assert found["collector"]["image"] == "otel/opentelemetry-collector-contrib:0.159.0"
    assert found["jaeger"]["image"] == "jaegertracing/jaeger:2.20.0"


def test_what_is_waited_for_can_be_waited_for() -> None:
    found = services()
    for service in found.values():
        for name, condition in service.get("depends_on", {}).items():
            healthy = condition["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in found[name])
    assert "healthcheck" not in found["collector"]  # its image has nothing to check with
    assert found["jaeger"]["healthcheck"]["test"][-1] == "http://localhost:13133/status"


def test_ports_are_published_on_this_machine_only() -> None:
    for service in services().values():
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


def test_files_that_it_names_exist() -> None:
    found = services()
    build = found["app"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    for volume in found["collector"]["volumes"]:
        source, target, mode = volume.split(":")
        assert (ROOT / source).is_file()
        assert mode == "ro"
        assert found["collector"]["command"] == [f"--config={target}"]


def test_the_path_of_a_span_is_whole() -> None:
    """The app's endpoint, the collector's receiver and exporter, and Jaeger fit together."""
    found = services()
    config = yaml.safe_load((EXAMPLE / "collector.yaml").read_text())
    assert found["app"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    receiver = config["receivers"]["otlp"]["protocols"]
    assert receiver["http"]["endpoint"] == "0.0.0.0:4318"
    assert config["exporters"]["otlp_grpc"]["endpoint"] == "jaeger:4317"
    pipeline = config["service"]["pipelines"]["traces"]
    assert pipeline == {"receivers": ["otlp"], "exporters": ["otlp_grpc"]}
    assert set(config["receivers"]) == {"otlp"}


def test_the_image_runs_an_example_that_exists() -> None:
    text = (EXAMPLE / "Dockerfile").read_text()
    sources = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    assert sources == [".", "examples/otlp/app.py"]
    assert all((ROOT / source).exists() for source in sources)
    assert '"otrace", "run", "--export", "otlp"' in text
    ignored = (EXAMPLE / "Dockerfile.dockerignore").read_text().splitlines()
    needed = {"otrace", "native", "exporters", "examples", "pyproject.toml", "README.md", "LICENSE"}
    assert not needed & set(ignored)
