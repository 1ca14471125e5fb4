"""Tries an installed otrace as its first user would, in a clean environment and an empty folder."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

APP = """\
import sys

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

print(sys.argv[1:], fib(10))
sys.exit(3)
"""
FIB_CALLS = 177  # of fib(10): 2 * fib(11) - 1

BIN = Path(sys.executable).parent


def run(*command: str | Path, expect: int = 0) -> str:
    """Standard output of a command; the exit status must be the expected one."""
    words = [str(word) for word in command]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == expect, f"{command} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def check_version() -> None:
    """The command tells the version that the package has."""
    version = importlib.metadata.version("otrace")
    assert version in run(BIN / "otrace", "--version")


def check_license() -> None:
    """The license comes with the package."""
    files = importlib.metadata.files("otrace") or []
    assert any(file.name == "LICENSE" for file in files), "the license is not in the package"


def check_import_is_light() -> None:
    """Importing otrace imports none of the large packages it can use."""
    script = "import otrace, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(run(sys.executable, "-c", script).split())
    heavy = loaded & {"opentelemetry", "grpc", "google", "click", "rich", "requests"}
    assert not heavy, f"import otrace imports {heavy}"


def check_chrome_trace() -> None:
    """A traced program behaves as a plain one, and every call is in the trace."""
    Path("app.py").write_text(APP)
    plain = run(sys.executable, "app.py", "a", "b", expect=3)
    traced = run(BIN / "otrace", "run", "-o", "t.json", "app.py", "a", "b", expect=3)
    assert traced == plain, f"the traced program printed {traced!r}, not {plain!r}"
    events = json.loads(Path("t.json").read_text())["traceEvents"]
    names = Counter(event["name"] for event in events if event["ph"] in "XB")
    assert names["__main__.fib"] == FIB_CALLS, f"fib was seen {names['__main__.fib']} times"


def check_perfetto_trace() -> None:
    """The suffix chooses the other format."""
    run(BIN / "otrace", "run", "-o", "t.pftrace", "app.py", expect=3)
    assert Path("t.pftrace").stat().st_size > 1000


def check_exporters() -> None:
    """The built-in exporters are found through their entry points."""
    listed = run(BIN / "otrace", "exporters")
    for name in ("chrome", "perfetto", "otlp"):
        assert name in listed, f"the exporter {name} is not listed:\n{listed}"


def main() -> None:
    """Runs every check, in order; the first that fails ends it."""
    for check in (
        check_version,
        check_license,
        check_import_is_light,
        check_chrome_trace,
        check_perfetto_trace,
        check_exporters,
    ):
        check()
        print(f"ok      {check.__name__.removeprefix('check_')}")


if __name__ == "__main__":
    main()
