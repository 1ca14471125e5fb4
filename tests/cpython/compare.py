"""Runs CPython's own test modules with and without `otrace run` and compares each test's outcome.

    python tests/cpython/compare.py test_json test_asyncio

Needs an interpreter that has the `test` package and otrace. A module whose outcomes differ is run
once more both ways: what comes out differently in each traced run and in no plain one is a
difference. Those that are explained (explained.py) do not count. Ends with status 1 if any is left.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from explained import EXPLAINED

TIMEOUT_S = 140
RECORDED_BYTES = 1 << 17  # what a segment of a traced test run takes at the very least
Outcomes = dict[str, str]


@dataclass
class Run:
    """One run of a module: its status and the outcome of each test."""

    status: str
    outcomes: Outcomes
    seconds: float
    words: str = ""
    """The end of what it printed."""


@dataclass
class Result:
    """A module, both ways."""

    module: str
    tests: int
    plain_s: float
    traced_s: float
    differences: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Test → outcomes without and with otrace; the module's own status is called "(status)"."""
    explained: dict[str, str] = field(default_factory=dict)
    words: str = ""


def outcomes_in(path: Path) -> Outcomes:
    """Each test's outcome, from regrtest's XML; those of one name are counted together."""
    found: dict[str, Counter[str]] = {}
    if path.exists():
        for case in ElementTree.parse(path).iter("testcase"):
            bad = [child.tag for child in case if child.tag in ("error", "failure", "skipped")]
            outcome = bad[0] if bad else case.get("result", "")
            found.setdefault(case.get("name", ""), Counter())[outcome] += 1
    return {
        name: ", ".join(f"{outcome} x{n}" for outcome, n in sorted(counts.items()))
        for name, counts in found.items()
    }


def segment_bytes(folder: Path) -> int:
    """The disk space of a recording's segments."""
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*.segment"))


def run(module: str, *, traced: bool) -> Run:
    """Run a module's tests in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        kept = folder / "kept.otrace"
        words = [sys.executable]
        if traced:
            words += ["-m", "otrace", "run", "-q", "--buffer-size", "16MiB", "-o", str(kept)]
        words += ["-m", "test", "--junit-xml", str(folder / "out.xml"), "--randseed", "1", module]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OTRACE_")}
        (folder / "tmp").mkdir()
        environment.update(PYTHONHASHSEED="0", TMPDIR=str(folder / "tmp"))
        began = time.monotonic()
        with open(folder / "out", "wb") as out:
            child = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = str(child.wait(timeout=TIMEOUT_S))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                child.wait()
                status = "timeout"
        seconds = time.monotonic() - began
        text = (folder / "out").read_bytes().decode(errors="replace")[-4000:]
        if traced and segment_bytes(kept) < RECORDED_BYTES:
            status += ", not recorded"
        shutil.rmtree(kept, ignore_errors=True)
        return Run(status, outcomes_in(folder / "out.xml"), seconds, text)


def differences(plain: Iterable[Run], traced: Iterable[Run]) -> dict[str, tuple[str, str]]:
    """What came out otherwise in every traced run than in any plain one."""
    sides = []
    for runs in (plain, traced):
        sides.append([{**each.outcomes, "(status)": each.status} for each in runs])
    names = {name for runs in sides for outcomes in runs for name in outcomes}
    found = {}
    for name in sorted(names):
        without = {outcomes.get(name, "not run") for outcomes in sides[0]}
        with_it = {outcomes.get(name, "not run") for outcomes in sides[1]}
        if not without & with_it:
            found[name] = (" | ".join(sorted(without)), " | ".join(sorted(with_it)))
    return found


def explanation(module: str, test: str) -> str | None:
    """Why a test is known to differ, or None."""
    for each in EXPLAINED:
        fits = each.module == module and fnmatch.fnmatchcase(test, each.test)
        if fits and each.since <= sys.version_info[:2] <= each.until:
            return each.reason
    return None


def compare(module: str) -> Result:
    """Run a module both ways, twice where that makes a difference."""
    plain, traced = [run(module, traced=False)], [run(module, traced=True)]
    found = differences(plain, traced)
    if any(explanation(module, test) is None for test in found):
        plain.append(run(module, traced=False))
        traced.append(run(module, traced=True))
        found = differences(plain, traced)
    result = Result(module, len(plain[0].outcomes), plain[0].seconds, traced[0].seconds)
    for test, outcomes in found.items():
        reason = explanation(module, test)
        if reason is None:
            result.differences[test] = outcomes
            result.words = traced[-1].words
        else:
            result.explained[test] = reason
    if set(result.differences) == {"(status)"} and result.explained:
        del result.differences["(status)"]  # follows from the explained ones
    return result


def describe(result: Result) -> str:
    """A few lines about a module."""
    word = "DIFFERS" if result.differences else "same"
    lines = [
        f"{word:8}{result.module}: {result.tests} tests, {len(result.explained)} explained,"
        f" {result.plain_s:.1f} s, traced {result.traced_s:.1f} s"
    ]
    lines += [f"    {test}: {a} -> {b}" for test, (a, b) in result.differences.items()]
    return "\n".join(lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    parser.add_argument("--results", type=Path, help="append to this file; skip what is in it")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no module after this")
    arguments = parser.parse_args()
    known: set[str] = set()
    if arguments.results is not None and arguments.results.exists():
        known = {json.loads(line)["module"] for line in arguments.results.open()}
    end = time.monotonic() + arguments.seconds
    status = 0
    for module in arguments.modules:
        if module in known or time.monotonic() > end:
            continue
        result = compare(module)
        print(describe(result), flush=True)
        status |= bool(result.differences)
        if arguments.results is not None:
            with arguments.results.open("a") as file:
                file.write(json.dumps(vars(result)) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
