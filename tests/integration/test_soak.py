"""A short run of soak.py; ten minutes of it are for people: see there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SECONDS = "600" if os.environ.get("OTRACE_SOAK") == "1" else "2"


def test_memory_descriptors_and_mappings_stay_flat(otrace):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("soak.py")), "--seconds", SECONDS],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=660,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") >= 6
