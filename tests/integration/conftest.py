"""Shared by the integration tests: the command `otrace`, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

TIMEOUT_S = 60
OTRACE = [sys.executable, "-m", "otrace"]


@dataclass(frozen=True)
class Otrace:
    """Runs otrace in a folder of its own, with a temporary folder of its own."""

    folder: Path
    temporary: Path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """This environment without otrace's variables."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OTRACE_")}
        return {**environment, "TMPDIR": str(self.temporary), **(extra or {})}

    def __call__(
        self,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        status: int | None = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `otrace WORDS` to its end; checks the exit status unless it is None."""
        done = subprocess.run(
            [*OTRACE, *map(str, words)],
            cwd=self.folder,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert status is None or done.returncode == status, done.stderr
        return done

    def start(self, *words: str, **arguments: object) -> subprocess.Popen[str]:
        """Start `otrace WORDS` with pipes for its streams."""
        return subprocess.Popen(
            [*OTRACE, *words],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **arguments,  # type: ignore[call-overload]
        )

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def sessions(self) -> Sequence[Path]:
        """The recordings left in the temporary folder."""
        return sorted(self.temporary.glob("*.otrace"))


@pytest.fixture
def otrace(tmp_path: Path) -> Otrace:
    """The command, with a folder to work in."""
    folder, temporary = tmp_path / "work", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    return Otrace(folder, temporary)
