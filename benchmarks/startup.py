"""Start-up: what `otrace run` of an empty script costs, and `import otrace`.

CPU time of all processes, the export included, less that of `python` running the same script.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from functools import partial

import _harness as h

RUN_AT_MOST_MS, IMPORT_AT_MOST_MS = 150, 30
FORBIDDEN = ("opentelemetry", "grpc", "google")


def forbidden_modules(interpreter: h.Interpreter) -> list[str]:
    """What `import otrace` must not import, and does."""
    code = "import otrace, sys; print(*sys.modules)"
    done = subprocess.run(
        [interpreter.path, "-c", code], check=True, capture_output=True, text=True
    )
    return [name for name in done.stdout.split() if name.split(".")[0] in FORBIDDEN]


def report_for(interpreter: h.Interpreter, rounds: int, folder: str) -> h.Report:
    script = os.path.join(folder, "empty.py")
    with open(script, "w", encoding="utf-8"):
        pass
    python = interpreter.path

    def cost(words: list[str], into: str) -> float:
        argv = [word.replace("OUT", into) for word in words]
        return h.whole(h.Job([python, *argv])).cpu_s * 1e3

    traced = ["-m", "otrace", "run", "--quiet", "-o"]
    results = h.rounds(
        {
            "python": partial(cost, [script]),
            "chrome": partial(cost, [*traced, "OUT/t.json", script]),
            "perfetto": partial(cost, [*traced, "OUT/t.pftrace", script]),
            "import": partial(cost, ["-c", "import otrace"]),
        },
        rounds,
    )
    plain = statistics.median(results["python"])
    added = {name: statistics.median(values) - plain for name, values in results.items()}
    report = h.Report(f"Start-up, added CPU ms, CPython {interpreter.text}")
    found = forbidden_modules(interpreter)
    if found:
        report.missed.append(f"import otrace imports {', '.join(found)}")
    rows = [
        ["python, an empty script", f"{plain:.0f}", ""],
        ["otrace run of it, Chrome JSON", f"+{added['chrome']:.0f}",
         report.check("otrace run, ms", added["chrome"], RUN_AT_MOST_MS)],
        ["otrace run of it, Perfetto", f"+{added['perfetto']:.0f}",
         report.check("otrace run, ms", added["perfetto"], RUN_AT_MOST_MS)],
        ["import otrace", f"+{added['import']:.0f}",
         report.check("import otrace, ms", added["import"], IMPORT_AT_MOST_MS)],
        ["... imports opentelemetry, grpc or protobuf", ", ".join(found) or "no",
         "no" if found else "yes"],
    ]  # fmt: skip
    report.text.append(h.table(["what", "ms", "reached"], rows))
    report.data = {"cpu_ms": results}
    return report


def main() -> None:
    options = h.arguments(__doc__ or "", default_rounds=11).parse_args()
    reports = []
    for interpreter in h.interpreters(options):
        with h.scratch() as folder:
            reports.append(report_for(interpreter, options.rounds, folder))
        h.show(reports[-1])
    h.save(reports, options)


if __name__ == "__main__":
    main()
