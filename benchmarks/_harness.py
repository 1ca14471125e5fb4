"""What the benchmarks share: interpreters with the peers in them, runs, statistics, tables.

Each round runs every contender once, in a fresh process and in a new order, so that the noise of
the machine meets all of them alike. Figures are medians over the rounds; a ratio of two medians
comes with the interval that holds 90 % of its bootstrap resamples.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESAMPLES = 2000
WORKLOADS = sorted(
    path.stem
    for path in (HERE / "workloads").glob("*.py")
    if path.stem not in ("timing", "alternate")
)
NO_PYTHON_CALLS = ("c_calls",)
FLAGS = ("-O2", "-shared", "-fPIC", "-std=gnu11")


# ---- interpreters ----


@dataclass(frozen=True)
class Interpreter:
    """A Python with otrace and the peers installed."""

    path: str
    version: tuple[int, int]
    text: str

    @property
    def has_monitoring(self) -> bool:
        return self.version >= (3, 12)

    @property
    def has_trace0(self) -> bool:
        return self.version >= (3, 13)


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "otrace-benchmarks"


def _describe(path: str) -> tuple[tuple[int, int], str]:
    code = "import sys; print(*sys.version_info[:3])"
    words = subprocess.run([path, "-c", code], check=True, capture_output=True, text=True).stdout
    major, minor, micro = (int(word) for word in words.split())
    return (major, minor), f"{major}.{minor}.{micro}"


def prepare(path: str, installed: bool) -> Interpreter:
    """The interpreter at `path`, or with `installed` False a virtual environment made from it.

    The environment is kept in the cache folder; otrace is built into it anew each time.
    """
    version, text = _describe(path)
    if installed:
        return Interpreter(path, version, text)
    folder = cache_folder() / text
    python = str(folder / "bin" / "python")
    if not os.path.exists(python):
        subprocess.run([path, "-m", "venv", str(folder)], check=True)
        _pip(python, "--upgrade", "pip", "-r", str(HERE / "requirements.txt"))
    with tempfile.TemporaryDirectory() as copy:
        tree = Path(copy) / "otrace"
        shutil.copytree(
            ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv*", "build", "*.so")
        )
        _pip(python, "--force-reinstall", "--no-deps", str(tree))
        _pip(python, str(tree))
    return Interpreter(python, version, text)


def _pip(python: str, *words: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *words], check=True)


def build_baseline(interpreter: Interpreter, folder: str) -> str:
    """Compile native/baseline.c for the interpreter; returns the module's path."""
    code = (
        "import json, sysconfig as s; "
        "print(json.dumps([s.get_paths()['include'], s.get_config_var('EXT_SUFFIX')]))"
    )
    found = subprocess.run(
        [interpreter.path, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    include, suffix = json.loads(found)
    path = os.path.join(folder, f"otrace_baseline_{interpreter.text}{suffix}")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    subprocess.run(
        [compiler, *FLAGS, f"-I{include}", str(HERE / "native" / "baseline.c"), "-o", path],
        check=True,
    )
    return path


# ---- contenders ----


@dataclass(frozen=True)
class Job:
    """One process to run: words, and what its environment adds."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


#: (interpreter, script and its arguments, a folder for output) -> the job
Contender = Callable[[Interpreter, Sequence[str], str], Job]


def untraced(interpreter: Interpreter, script: Sequence[str], folder: str) -> Job:
    return Job([interpreter.path, *script])


def otrace(*, c_calls: bool, **environment: str) -> Contender:
    """The traced process exactly as `otrace run` starts it."""

    def job(interpreter: Interpreter, script: Sequence[str], folder: str) -> Job:
        session = os.path.join(folder, "x.otrace")
        os.mkdir(session, 0o700)
        values = {"OTRACE_SESSION": session, "OTRACE_C_CALLS": str(int(c_calls)), **environment}
        return Job([interpreter.path, *script], values)

    return job


def viztracer(*options: str) -> Contender:
    def job(interpreter: Interpreter, script: Sequence[str], folder: str) -> Job:
        words = ["-m", "viztracer", "--quiet", *options, "-o", os.path.join(folder, "viz.json")]
        return Job([interpreter.path, *words, "--", *script])

    return job


def trace0(interpreter: Interpreter, script: Sequence[str], folder: str) -> Job:
    words = ["-m", "trace0", "run", "--output", os.path.join(folder, "trace0.pb")]
    # Unlike python, it does not put the script's folder on the path.
    return Job([interpreter.path, *words, *script], {"PYTHONPATH": os.path.dirname(script[0])})


def cprofile(interpreter: Interpreter, script: Sequence[str], folder: str) -> Job:
    words = ["-m", "cProfile", "-o", os.path.join(folder, "cprofile.out")]
    return Job([interpreter.path, *words, *script])


def counting(module: str) -> Contender:
    """A hook that counts Python and C calls."""

    def job(interpreter: Interpreter, script: Sequence[str], folder: str) -> Job:
        return Job([interpreter.path, *script], {"BENCH_BASELINE": f"{module}:1"})

    return job


def run(job: Job, cpu: int | None = None) -> dict[str, Any]:
    """Run a job until its BENCH line and return that. Raises RuntimeError when it has none.

    The process is then killed: what a tracer still saves is not in these figures.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTRACE_", "BENCH_"))}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **job.environment}
    pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as words,
        subprocess.Popen(
            [*pin, *job.argv], env=environment, stdout=subprocess.PIPE, stderr=words, text=True
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("BENCH "):
                child.kill()
                figures: dict[str, Any] = json.loads(line[6:])
                return figures
        status = child.wait()
        words.seek(0)
        raise RuntimeError(f"{' '.join(job.argv)}: exit {status}\n{words.read()[-2000:]}")


@dataclass(frozen=True)
class Child:
    """What a whole process cost, with the children it waited for."""

    wall_s: float
    cpu_s: float
    peak_bytes: int

    def ns(self, which: str) -> float:
        """`which`: wall_ns or cpu_ns, the values of --time."""
        return (self.wall_s if which == "wall_ns" else self.cpu_s) * 1e9


def whole(job: Job, cpu: int | None = None) -> Child:
    """Run a job to its end and measure all of it. Raises RuntimeError when it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTRACE_", "BENCH_"))}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **job.environment}
    pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
    began = time.perf_counter()
    child = subprocess.Popen(
        [*pin, *job.argv], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    words = child.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(job.argv)}: exit {child.returncode}\n{words[-2000:]}")
    return Child(
        time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    )


def record(interpreter: Interpreter, code: str, folder: str) -> str:
    """Record `code` (Python calls only) with `otrace run`; returns the recording's folder."""
    path = os.path.join(folder, "recorded.otrace")
    command = ["-m", "otrace", "run", "--quiet", "--no-c-calls", "-o", path, "-c", code]
    whole(Job([interpreter.path, *command]))
    return path


def count_calls(interpreter: Interpreter, recording: str) -> int:
    """The calls in a recording, as `otrace info --json` tells."""
    command = [interpreter.path, "-m", "otrace", "info", "--json", recording]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout)["calls"])


def fib(n: int) -> str:
    """A program of 2 * Fibonacci(n + 1) - 1 calls: 27 makes 0.6 million, 31 4.4, 33 11.4."""
    return f"def fib(n):\n return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib({n})\n"


def rounds(contenders: Mapping[str, Callable[[str], T]], count: int) -> dict[str, list[T]]:
    """Run all contenders `count` times, interleaved in a new order each round.

    A contender gets a fresh folder and returns its figures.
    """
    results: dict[str, list[T]] = {name: [] for name in contenders}
    order = list(contenders)
    chance = random.Random(1)
    for _ in range(count):
        chance.shuffle(order)
        for name in order:
            with tempfile.TemporaryDirectory(prefix="otrace-bench-") as folder:
                results[name].append(contenders[name](folder))
    return results


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder, on the same disk as the one that `otrace run` uses."""
    return tempfile.TemporaryDirectory(prefix="otrace-bench-")


# ---- statistics ----


def interval(
    compute: Callable[[Sequence[Sequence[Any]]], float], samples: Sequence[Sequence[Any]]
) -> tuple[float, float]:
    """The 5th and 95th percentile of `compute` over bootstrap resamples of each sample."""
    chance = random.Random(2)
    values = sorted(
        compute([chance.choices(sample, k=len(sample)) for sample in samples])
        for _ in range(RESAMPLES)
    )
    return values[RESAMPLES * 5 // 100], values[RESAMPLES * 95 // 100]


@dataclass(frozen=True)
class Ratio:
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


def added_ratio(ours: Sequence[float], theirs: Sequence[float], plain: Sequence[float]) -> Ratio:
    """(median ours - median plain) / (median theirs - median plain)."""

    def compute(samples: Sequence[Sequence[float]]) -> float:
        one, other, nothing = (statistics.median(sample) for sample in samples)
        return (one - nothing) / (other - nothing) if other != nothing else float("inf")

    samples = (ours, theirs, plain)
    return Ratio(compute(samples), *interval(compute, samples))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """median ours / median theirs, of values that were taken in pairs: pairs are resampled."""

    def compute(samples: Sequence[Sequence[Any]]) -> float:
        one, other = (statistics.median(side) for side in zip(*samples[0], strict=True))
        return one / other if other else float("inf")

    samples = [list(zip(ours, theirs, strict=True))]
    return Ratio(compute(samples), *interval(compute, samples))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """median ours / median theirs."""

    def compute(samples: Sequence[Sequence[float]]) -> float:
        return statistics.median(samples[0]) / statistics.median(samples[1])

    return Ratio(compute((ours, theirs)), *interval(compute, (ours, theirs)))


def spread(sample: Sequence[float]) -> dict[str, float]:
    """min, median and max."""
    return {"min": min(sample), "median": statistics.median(sample), "max": max(sample)}


# ---- output ----


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, columns aligned."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine() -> dict[str, str]:
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


@dataclass
class Report:
    """The result of one benchmark: text for people, data for --json, and what was not reached."""

    title: str
    text: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def check(self, what: str, value: float, at_most: float) -> str:
        """Returns "yes" or "no", and notes what was not reached."""
        if value <= at_most:
            return "yes"
        self.missed.append(f"{what}: {value:.2f}, wanted at most {at_most:g}")
        return "no"


def arguments(description: str, default_rounds: int = 9) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--python",
        action="append",
        help="an interpreter to measure, in an environment of its own (repeat it); default: this"
        " one, with otrace and requirements.txt installed",
    )
    parser.add_argument(
        "--installed", action="store_true", help="those have otrace and the peers already"
    )
    parser.add_argument("--rounds", type=int, default=default_rounds)
    parser.add_argument("--cpu", type=int, help="pin what is measured to this core")
    parser.add_argument(
        "--time",
        choices=["wall_ns", "cpu_ns"],
        default="wall_ns",
        help="wall time, or CPU time, which is steadier on a busy machine",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=os.path.abspath, help="write all figures there"
    )
    return parser


def interpreters(options: argparse.Namespace) -> list[Interpreter]:
    """Those of --python, or the one that runs this, with all that it must have.

    From here on the current folder is this one: in the root of a checkout, `python -m otrace`
    would find the sources there, which are not built.
    """
    paths = [os.path.abspath(path) if os.sep in path else path for path in options.python or []]
    os.chdir(HERE)
    if not paths:
        return [prepare(sys.executable, installed=True)]
    return [prepare(path, options.installed) for path in paths]


def workload_arguments(description: str, default_rounds: int = 9) -> argparse.ArgumentParser:
    """`arguments`, and which workloads and calls."""
    parser = arguments(description, default_rounds)
    parser.add_argument("--workload", action="append", choices=WORKLOADS)
    parser.add_argument("--kind", action="append", choices=["py", "c"])
    return parser


#: (report, interpreter, the baseline's module, (workload, kind)) -> cells
Row = Callable[[Report, Interpreter, str, tuple[str, str]], list[str]]


def measure_workloads(
    options: argparse.Namespace, header: Callable[[str], list[str]], row: Row
) -> None:
    """A table for each interpreter and each kind of calls, with a row a workload; `header` of a
    kind. Shows and saves them.
    """
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        for interpreter in interpreters(options):
            module = build_baseline(interpreter, folder)
            for kind in options.kind or ["py", "c"]:
                what = "Python calls only" if kind == "py" else "Python and C calls"
                report = Report(f"Added ns a call, CPython {interpreter.text}, {what}")
                rows = []
                for workload in options.workload or WORKLOADS:
                    if kind == "py" and workload in NO_PYTHON_CALLS:
                        continue
                    rows.append(row(report, interpreter, module, (workload, kind)))
                    print(f"{interpreter.text} {kind}", *rows[-1], file=sys.stderr, flush=True)
                report.text.append(table(header(kind), rows))
                reports.append(report)
                show(report)
    save(reports, options)


def show(report: Report) -> None:
    print(f"\n## {report.title}\n")
    print("\n".join(report.text))
    for line in report.missed:
        print(f"not reached: {line}")
    sys.stdout.flush()


def save(reports: Sequence[Report], options: argparse.Namespace) -> None:
    """Write all reports to --json."""
    if options.json:
        data = {"machine": machine(), "reports": [vars(report) for report in reports]}
        Path(options.json).write_text(json.dumps(data, indent=1, default=vars), encoding="utf-8")
