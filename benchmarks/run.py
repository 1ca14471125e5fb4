"""Runs every benchmark one after the other: `python benchmarks/run.py [options for all]`.

With `--json FOLDER`, each writes FOLDER/<name>.json.
"""

from __future__ import annotations

import os
import subprocess
import sys

import _harness as h

BENCHMARKS = (
    "added_time",
    "added_time_floor",
    "excluded",
    "events",
    "startup",
    "export_chrome",
    "export_perfetto",
    "cpu_with_export",
)


def main() -> int:
    parser = h.arguments(__doc__ or "")
    parser.set_defaults(rounds=None)
    options = parser.parse_args()
    shared = ["--time", options.time]
    if options.rounds:
        shared += ["--rounds", str(options.rounds)]
    if options.cpu is not None:
        shared += ["--cpu", str(options.cpu)]
    prepared = h.interpreters(options)  # once for all
    for interpreter in prepared:
        shared += ["--python", interpreter.path]
    failed = []
    for name in BENCHMARKS:
        words = [sys.executable, str(h.HERE / f"{name}.py"), "--installed", *shared]
        if options.json:
            os.makedirs(options.json, exist_ok=True)
            words += ["--json", os.path.join(options.json, f"{name}.json")]
        if subprocess.run(words).returncode != 0:
            failed.append(name)
    if failed:
        print(f"did not run to the end: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
