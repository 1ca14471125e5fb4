"""A mount or process namespace for one command, for tests that run as root."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def unshare() -> list[str]:
    """The words that unshare(1) begins with; skips the test where it cannot be used.

    In a chroot `/` is no mount point, and its propagation cannot be made private, which is what
    unshare tries first.
    """
    command = shutil.which("unshare")
    if command is None or os.geteuid() != 0:
        pytest.skip("needs unshare, and root")
    for words in ([command], [command, "--propagation", "unchanged"]):
        tried = subprocess.run([*words, "--mount", "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return words
    pytest.skip("mounts are not allowed here")
