"""The form of the configurations for many services, and of the two services' composition."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "examples" / "services"
CONFIGURATIONS = [
    *sorted((ROOT / "examples" / "scale").glob("*.yaml")),
    SERVICES / "collector.yaml",
    SERVICES / "jaeger.yaml",
]
# Of the collector's contrib distribution and of Jaeger, by the names in their documentation.
KNOWN = {
    "receivers": {"otlp", "kafka"},
    "processors": {"batch", "memory_limiter", "tail_sampling"},
    "exporters": {"otlp_grpc", "loadbalancing", "kafka", "jaeger_storage_exporter"},
    "extensions": {"healthcheckv2", "jaeger_query", "jaeger_storage"},
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_what_is_used_is_there_and_the_other_way_round(path: Path) -> None:
    found = load(path)
    assert set(found) <= {*KNOWN, "service"}
    used: dict[str, set[str]] = {kind: set() for kind in KNOWN}
    used["extensions"] |= set(found["service"].get("extensions", []))
    for pipeline in found["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert {kind: set(found.get(kind, {})) for kind in KNOWN} == used
    for kind, names in used.items():
        assert names <= KNOWN[kind]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_samplers_decide_by_what_the_processor_sets(path: Path) -> None:
    sampling = load(path).get("processors", {}).get("tail_sampling")
    if sampling is None:
        return
    [captured] = [one for one in sampling["policies"] if one["type"] == "boolean_attribute"]
    assert captured["boolean_attribute"] == {"key": "otrace.captured", "value": True}
    assert '"otrace.captured": True' in (ROOT / "otrace" / "otel" / "processor.py").read_text()


def test_the_rows_fit_together() -> None:
    scale = ROOT / "examples" / "scale"
    balancer, sampler = load(scale / "balancer.yaml"), load(scale / "sampler.yaml")
    port = balancer["exporters"]["loadbalancing"]["resolver"]["dns"]["port"]
    assert sampler["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == f"0.0.0.0:{port}"
    assert balancer["exporters"]["loadbalancing"]["routing_key"] == "traceID"
    sent = sampler["exporters"]["kafka"]
    for storage in ("clickhouse", "opensearch"):
        jaeger = load(scale / f"jaeger-{storage}.yaml")
        read = jaeger["receivers"]["kafka"]
        assert (read["brokers"], read["traces"]) == (sent["brokers"], sent["traces"])
        [backend] = jaeger["extensions"]["jaeger_storage"]["backends"].values()
        assert set(backend) == {storage}
    text = (ROOT / "docs" / "scale.md").read_text()
    for path in scale.glob("*.yaml"):
        assert f"../examples/scale/{path.name}" in text


def test_the_composition_of_two_services() -> None:
    compose = load(SERVICES / "docker-compose.yml")
    services = compose["services"]
    assert set(services) == {"shop", "stock", "collector", "jaeger"}
    collector, jaeger = load(SERVICES / "collector.yaml"), load(SERVICES / "jaeger.yaml")
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    assert collector["exporters"]["otlp_grpc"]["endpoint"] == "jaeger:4317"
    assert jaeger["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "0.0.0.0:4317"
    for name, port in (("shop", 8001), ("stock", 8002)):
        service = services[name]
        assert (SERVICES / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert service["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
        assert service["command"][-1] == f"{name}:app"
        assert (SERVICES / f"{name}.py").is_file()
        assert str(port) in "".join(service["command"])
    assert services["shop"]["environment"]["STOCK"] == "http://stock:8002"
    for service in services.values():
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)
        for name, condition in service.get("depends_on", {}).items():
            healthy = condition["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in services[name])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (SERVICES / source).is_file()
    disk = jaeger["extensions"]["jaeger_storage"]["backends"]["disk"]["badger"]["directories"]
    assert all(folder.startswith("/badger/") for folder in disk.values())
    assert "traces:/badger" in services["jaeger"]["volumes"]
