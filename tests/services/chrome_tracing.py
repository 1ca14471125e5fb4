"""The real chrome://tracing, as Qt's web engine carries it: Chrome's own browser has dropped it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oracle.compare import Call, Track

HOST = Path(__file__).parent / "chrome_tracing_host.py"
ENGINE = "PyQt6"
TIMEOUT_S = 100
FLAGS = "--no-sandbox --disable-gpu"


def missing_part() -> str | None:
    """What keeps the page from being used here, in words; None when everything is there."""
    if importlib.util.find_spec(ENGINE) is None:
        return f"{ENGINE} is missing: pip install -r tests/services/requirements.txt"
    return None


def open_files(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What the page's model has of each file: see chrome_tracing.js."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HOST, *paths],
        env={
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "QTWEBENGINE_DISABLE_SANDBOX": "1",
            "QTWEBENGINE_CHROMIUM_FLAGS": FLAGS,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
    assert len(shown) == len(paths), done.stderr
    return shown


def tracks_of(shown: dict[str, Any]) -> list[Track]:
    """The oracle's normal form; depth and nesting are the page's own."""
    tracks = []
    for thread in shown["threads"]:
        slices = [row for row in thread["slices"] if row["category"] in ("python", "c")]
        slices.sort(key=lambda row: (row["start"], row["depth"]))
        tracks.append(Track(thread["name"], [call_of(row) for row in slices]))
    return tracks


def call_of(row: dict[str, Any]) -> Call:
    """A slice as a call."""
    args = row["args"]
    ended = "open" if row["open"] else args.get("ended", "return")
    return Call(
        row["depth"],
        row["name"],
        row["category"],
        ended,
        args.get("exception") if ended == "unwind" else None,
        args.get("file"),
        args.get("line"),
    )
