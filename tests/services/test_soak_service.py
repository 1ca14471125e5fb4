"""A short run of soak_service.py; the full one of 10,000 requests is for people."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.instrumentation.fastapi")

REQUESTS = "10000" if os.environ.get("OTRACE_SOAK") == "1" else "300"


@pytest.mark.parametrize("mode", ["always", "recorder"])
def test_mixed_requests_leave_no_orphan_and_no_leak(mode: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("soak_service.py")
    done = subprocess.run(
        [sys.executable, str(script), "--requests", REQUESTS, "--mode", mode],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 11
