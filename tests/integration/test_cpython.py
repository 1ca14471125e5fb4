"""A few of CPython's own test modules; tests/cpython/compare.py runs any of them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("test.support", reason="this Python comes without its tests")
MODULES = ["test_sys_setprofile", "test_generators", "test_contextlib", "test_atexit", "test_code"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_cpython_comes_out_the_same(otrace, module):
    if importlib.util.find_spec(f"test.{module}") is None:
        pytest.skip("this Python comes without its tests")
    script = Path(__file__).parent.parent / "cpython" / "compare.py"
    done = subprocess.run(
        [sys.executable, script, module],
        cwd=otrace.folder,
        env=otrace.environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("same"), done.stdout
    assert ": 0 tests" not in done.stdout
