"""What is installed: metadata, start-up files, entry points, and imports where they are used."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

import otrace

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = {
    "cffi",
    "click",
    "opentelemetry-api",
    "opentelemetry-exporter-otlp",
    "opentelemetry-sdk",
    "orjson",
}
START_FILES = {"otrace.pth", "otrace.start", "_otrace_start.py"}

# Package that takes long to import → where it may be imported. Entry points lead there.
IMPORTED_IN = {
    "click": ("otrace/cli/",),
    "orjson": ("otrace/cli/", "exporters/"),
    "opentelemetry": ("exporters/otrace_exporters/otlp/", "otrace/otel/", "otrace/spans.py"),
    "google": ("exporters/otrace_exporters/otlp/", "otrace/otel/"),
    "grpc": ("exporters/otrace_exporters/otlp/", "otrace/otel/"),
    "requests": ("exporters/otrace_exporters/otlp/",),
    "urllib3": ("exporters/otrace_exporters/otlp/",),
}


def files() -> list[str]:
    """What the installation of otrace put into site-packages."""
    found = importlib.metadata.files("otrace")
    assert found is not None
    return [str(file) for file in found]


def name_of(requirement: str) -> str:
    return requirement.partition(";")[0].partition("[")[0].partition(">")[0].strip()


def output_of(*words: str, **environment: str) -> str:
    """Standard output of the Python that runs the tests, without otrace's variables."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTRACE_")}
    return subprocess.run(
        [sys.executable, *words],
        cwd="/",  # with -c the current folder comes first, and the checkout is not what is tested
        env={**clean, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_one_version() -> None:
    assert otrace.__version__ == PYPROJECT["version"] == importlib.metadata.version("otrace")


def test_the_dependencies_are_the_six() -> None:
    assert {name_of(line) for line in PYPROJECT["dependencies"]} == DEPENDENCIES
    required = importlib.metadata.requires("otrace") or []
    assert {name_of(line) for line in required if "extra ==" not in line} == DEPENDENCIES


def test_the_licence_is_installed() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    metadata = importlib.metadata.metadata("otrace")
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(file.endswith("licenses/LICENSE") for file in files())


def test_the_start_up_files_are_beside_the_package() -> None:
    assert set(files()) >= START_FILES
    site = Path(otrace.__file__).parents[1]
    for name in START_FILES:
        assert (site / name).read_text() == (ROOT / "otrace" / "bootstrap" / name).read_text()
    assert len((site / "otrace.pth").read_text().splitlines()) == 1


def test_nothing_but_the_packages_is_installed() -> None:
    tops = {Path(file).parts[0] for file in files()}
    scripts = {part for part in tops if part == ".."}
    information = {part for part in tops if part.endswith(".dist-info")}
    cache = {"__pycache__"}
    assert tops - scripts - information - cache == {"otrace", "otrace_exporters", *START_FILES}
    assert {"otrace/py.typed", "otrace_exporters/py.typed"} <= set(files())


def test_an_untraced_interpreter_loads_nothing_of_otrace() -> None:
    loaded = output_of("-c", "import sys; print(*sorted(sys.modules))").split()
    allowed = {"_otrace_start"} if sys.version_info >= (3, 15) else set()
    assert {name for name in loaded if "otrace" in name or "cffi" in name} <= allowed


@pytest.mark.parametrize("start", ["import otrace", "import otrace; otrace.record"])
def test_importing_otrace_imports_nothing_large(start: str) -> None:
    program = f"{start}\nimport sys; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in output_of("-c", program).split()}
    assert loaded & {*IMPORTED_IN, "tomllib", "http", "json"} == set()


def test_large_packages_are_imported_where_they_are_used() -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for folder in ("otrace", "exporters"):
        for path in (ROOT / folder).rglob("*.py"):
            for top in imports_of(path):
                seen[top].add(path.relative_to(ROOT).as_posix())
    for package, places in IMPORTED_IN.items():
        strays = {file for file in seen[package] if not file.startswith(places)}
        assert strays == set(), f"{package} is imported in {strays}"
    natives = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "otrace").rglob("*.py")
        if "from otrace._native import" in path.read_text()
    }
    assert natives == {"otrace/_lib.py", "otrace/recording/_lib.py"}


def imports_of(path: Path) -> set[str]:
    """The top packages that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_entry_points_lead_to_what_they_name() -> None:
    declared = PYPROJECT["entry-points"]["otrace.exporters"]
    found = {
        point.name: point
        for point in importlib.metadata.entry_points(group="otrace.exporters")
        if point.dist is not None and point.dist.name == "otrace"
    }
    assert set(found) == set(declared)
    assert set(found) >= {"chrome", "perfetto", "otlp", "flamegraph", "report"}
    for name, point in found.items():
        assert point.load()().name == name
    command = importlib.metadata.entry_points(group="console_scripts", name="otrace")
    assert callable(next(iter(command)).load())


def test_the_declared_versions_of_python_include_this_one() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Programming Language :: Python :: {version}" in PYPROJECT["classifiers"]
    assert PYPROJECT["requires-python"] == ">=3.11"
