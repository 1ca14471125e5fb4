"""What README and docs/ say is so: options, names, links, code, and every command."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import click
import pytest

import otrace
from otrace import notebook, pytest_plugin
from otrace.cli.group import COMMANDS, LazyGroup
from otrace.cli.group import otrace as group
from otrace.config import BOOL, LIST, OPTIONS, PATH
from otrace.otel.instrumentor import VARIABLES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
TIMEOUT_S = 60

APP = """\
def work():
    return sorted(range(10), key=lambda number: -number)


work()
"""
FILES = {
    "app.py": APP,
    "package/__init__.py": "",
    "package/module.py": APP,
    "tests/test_it.py": "def test_it():\n    pass\n",
}
FOREIGN_FLAGS = {  # of pip, docker, servers and other tools that the pages mention
    "--build",
    "--detach",
    "--enable-threads",
    "--lazy-apps",
    "--max-requests",
    "--preload",
    "--strict",
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command as a page shows it."""

    page: str
    line: str


def commands() -> Iterator[Command]:
    """Each command of otrace, and each Python command of an example, once."""
    seen = set()
    for page in PAGES:
        shown = [line for block in blocks(page, "console") for line in block.splitlines()]
        shown += re.findall(
            r"^    (?=(?:[A-Z_]+=\S+ )*otrace |python examples)(.*)$",
            page.read_text(),
            re.MULTILINE,
        )
        for text in shown:
            line = text.removeprefix("$ ")
            if not text.startswith(("#", ">")) and line and line not in seen:
                seen.add(line)
                yield Command(name_of(page), line)


SHOWN = list(commands())

# ---- options and names ----


def table_rows(page: Path, first_heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is given, without backticks."""
    lines = page.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


def test_the_table_of_options_is_that_of_the_code() -> None:
    rows = table_rows(ROOT / "docs" / "filters.md", "Flag")
    assert [row[0] for row in rows] == [option.flag for option in OPTIONS]
    for (_, keyword, variable, default, _help), option in zip(rows, OPTIONS, strict=True):
        assert (keyword, variable) == (option.keyword, option.variable)
        if option.kind is LIST:
            assert (default, option.default) == ("none", ())
        elif option.kind is PATH:
            assert (default, option.default) == ("the temporary folder", None)
        else:
            assert option.kind.parse(default) == option.default


def test_the_table_of_otlp_options_is_that_of_the_code() -> None:
    from otrace_exporters.otlp import OtlpExporter

    rows = table_rows(ROOT / "docs" / "opentelemetry.md", "Option")
    assert [row[0] for row in rows] == [option.name for option in OtlpExporter.options]
    for (_, default, _), option in zip(rows, OtlpExporter.options, strict=True):
        if option.default:
            seconds = default.removesuffix(" s")
            assert float(seconds) == option.default


def test_the_help_has_every_option() -> None:
    text = help_of("run")
    for option in OPTIONS:
        for flag in option.flag.split("/"):
            assert flag in text
        if option.kind is not BOOL:
            assert f"{option.flag} {option.kind.metavar}" in text


def help_of(name: str) -> str:
    context = click.Context(group, info_name="otrace")
    command = group.get_command(context, name)
    assert command is not None
    return command.get_help(click.Context(command, info_name=f"otrace {name}", parent=context))


def known_flags() -> set[str]:
    """Every flag of every command of otrace, of pytest's plug-in, and of the notebook's magic."""
    assert isinstance(group, LazyGroup)
    found = {"--help", "--version"}
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        for parameter in command.params:
            found.update([*parameter.opts, *parameter.secondary_opts])
    for action in notebook.parser()._actions:
        found.update(action.option_strings)
    declared = Mock()
    pytest_plugin.pytest_addoption(declared)
    found.update(call.args[0] for call in declared.getgroup.return_value.addoption.mock_calls)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_flags_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", code_of(page)))
    assert named - known_flags() - FOREIGN_FLAGS == set()


def code_of(page: Path) -> str:
    """What a page shows in backticks and in code blocks, without diagrams and C."""
    text = re.sub(
        r"^```(?!console|sh).*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    spans = re.findall(r"`([^`\n]+)`", text)
    lines = re.findall(r"^(?:\$ |    )?(otrace .*)$", text, re.MULTILINE)
    return "\n".join([*(span for span in spans if "pytest" not in span), *lines])


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"otrace {name}" not in text] == []


def test_the_readme_tells_of_every_public_name() -> None:
    rows = " ".join(row[0] for row in table_rows(ROOT / "README.md", "Name"))
    public = set(otrace.__all__) - {"__version__", "Event"}
    assert {name for name in public if name not in rows} == set()


def test_variables_that_pages_name_exist() -> None:
    known = {option.variable for option in OPTIONS} | {
        *VARIABLES,
        "OTRACE_SESSION",
        "OTRACE_JAEGER_URL",
        "OTRACE_TRACES_FILE",
        "OTRACE_DEBUG",
        "OTRACE_REQUIRE_SERVICES",
        "OTRACE_",
    }
    for page in PAGES:
        if "segment-format" not in page.name:
            named = set(re.findall(r"(?<![\w])OTRACE_[A-Z_]*", page.read_text()))
            assert named - known == set(), name_of(page)


# ---- links, code, make ----


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    broken = [
        target
        for target in targets
        if "://" not in target and not (page.parent / target).resolve().exists()
    ]
    assert broken == []


def test_the_make_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"^    make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
        assert named
        assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_that_pages_show_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        body = "".join(f"    {line}\n" for line in block.splitlines())
        ast.parse(f"async def shown(self):\n{body or '    pass'}")  # some are parts of a function


def test_the_code_of_the_readme_runs(tmp_path: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    (tmp_path / "code.py").write_text(code)
    words = [sys.executable, "code.py"]
    done = subprocess.run(
        words, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in ("t.json", "all.json", "now.json"):
        assert (tmp_path / name).stat().st_size > 0


# ---- commands ----


def clean_environment() -> dict[str, str]:
    """This environment without variables that change what otrace does."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OTRACE_", "OTEL_", "PYTHON"))
    }


class Collector(BaseHTTPRequestHandler):
    """Takes whatever is sent to it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Place:
    """A folder with everything that the pages' commands name."""

    folder: Path
    environment: dict[str, str]


def own_exporter(folder: Path) -> Path:
    """The example of a plug-in, as an installer would lay it out."""
    example = ROOT / "examples" / "own_exporter"
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    information = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(lines))
    for module in example.glob("*.py"):
        shutil.copy(module, folder)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    binaries = tmp_path_factory.mktemp("bin")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    shutil.copytree(ROOT / "examples", folder / "examples")
    plugin = own_exporter(tmp_path_factory.mktemp("plugin"))
    for name, words in {"otrace": "-m otrace", "pytest": "-m pytest", "python": ""}.items():
        (binaries / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (binaries / name).chmod(0o755)
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = clean_environment() | {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(plugin),
            "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        }
        for trace in ("app.json", "shop.json", "threads.json", "import.json", "app.otrace"):
            run(Place(folder, environment), f"otrace run -o {trace} app.py")
        yield Place(folder, environment)
        server.shutdown()


def run(place: Place, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a shell does; it must succeed."""
    done = subprocess.run(
        line,
        shell=True,
        cwd=place.folder,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    assert "cannot" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.line)
def test_commands_run(place: Place, shown: Command) -> None:
    if " view " in shown.line:
        view(place, shown.line)
        return
    run(place, shown.line)
    for file in outputs_of(shown.line):
        assert (place.folder / file).exists()


def outputs_of(line: str) -> list[str]:
    """The files that a command says it writes."""
    words = shlex.split(line, comments=True)
    after_o = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-o"]
    exports = [word.partition("=")[2] for word in words if re.match(r"(chrome|perfetto)=", word)]
    comment = re.search(r"# writes (\S+)", line)
    return after_o + exports + ([comment[1]] if comment else [])


def view(place: Place, line: str) -> None:
    """`otrace view` serves the file until it has been fetched."""
    command = f"exec {line.partition('#')[0]} --no-browser --once --port 0 --ui online"
    with subprocess.Popen(
        command,
        shell=True,
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as viewer:
        try:
            assert viewer.stdout is not None
            address = viewer.stdout.readline().strip().replace("/open/", "/trace/")
            address = address.replace("/list", "/trace/app.json")
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
                assert answer.read()
            assert viewer.wait(TIMEOUT_S) == 0
        finally:
            viewer.kill()


def test_there_are_commands_to_run() -> None:
    assert len(SHOWN) > 30
    assert {shown.page for shown in SHOWN} >= {"README.md", "docs/filters.md"}
