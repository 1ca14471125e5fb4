"""Jupyter and IPython: `%load_ext otrace`, then `%%otrace` records a cell and shows where it went.

The picture is a page of its own inside a sandboxed frame, and the timeline a link that holds the
file: they need nothing of the kernel's machine, so that they also work from afar, and stay in the
saved notebook.
"""

from __future__ import annotations

import argparse
import ast
import base64
import gzip
import html
import inspect
import os
import shlex
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any, NoReturn

from otrace import config_sources, exporting, recorder
from otrace.errors import OtraceError, UsageError

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording

MACHINERY = ("IPython", "ipykernel", "traitlets", "jupyter_client", "tornado", "zmq")
"""What runs the cell, and is left out of the recording."""
HEIGHT = 520
MOST_FRAMES = 20_000  # the page is saved with the notebook
MOST_ROWS = 10
LARGEST_READ, LARGEST_KEPT = 64_000_000, 8_000_000
"""Bytes of a file that a link may hold: as it is, and packed."""
COMPRESSION = 6
CALL = "get_ipython().run_cell_magic('otrace',"
"""What IPython makes of `%%otrace`."""
SANDBOX = "allow-scripts allow-popups allow-top-navigation-to-custom-protocols"


Parts = tuple[CodeType, CodeType | None]
"""Statements, and the expression at their end."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        """A wrong argument."""
        raise UsageError(f"%%otrace: {message}; {self.format_usage().strip()}")


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext otrace` calls: makes `%%otrace` known."""

    def otrace(line: str, cell: str) -> object:
        """Record a cell: `%%otrace [--export NAME[=FILE]] [--height PIXELS]`."""
        from IPython.core.error import UsageError as ShownInOneLine

        try:
            arguments = parse(line)
            jobs = jobs_of(arguments.export, f"otrace-cell-{number_of(shell)}")
            parts = compiled(shell, cell)
            recorder.start_here({"exclude": (*config_sources.resolve({}).exclude, *MACHINERY)})
        except OtraceError as error:
            raise ShownInOneLine(str(error)) from None

        def finish() -> None:
            show(shell, recorder.stop(), jobs, arguments.height)

        run = run_awaiting if is_async(shell, cell) else run_plain
        return run(parts, shell.user_ns, finish)

    def awaiting(lines: list[str]) -> list[str]:
        """The call of the magic, awaited where its cell awaits something."""
        text = "".join(lines)
        if not text.startswith(CALL):
            return lines
        cell = ast.parse(text).body[0].value.args[-1].value  # type: ignore[attr-defined]
        return [f"await {text}"] if is_async(shell, cell) else lines

    shell.register_magic_function(otrace, "cell", "otrace")
    awaiting.__name__ = "otrace_awaiting"
    transformers = shell.input_transformers_post
    transformers[:] = [one for one in transformers if one.__name__ != awaiting.__name__]
    transformers.append(awaiting)


def is_async(shell: Any, cell: str) -> bool:
    """Whether a cell awaits something outside of its functions."""
    text = shell.transform_cell(cell)
    return bool(shell.should_run_async(cell, transformed_cell=text))


def run_plain(parts: Parts, names: dict[str, Any], finish: Callable[[], None]) -> object:
    """Run a cell."""
    try:
        code, last = parts
        exec(code, names)
        return None if last is None else eval(last, names)
    finally:
        finish()


async def run_awaiting(parts: Parts, names: dict[str, Any], finish: Callable[[], None]) -> object:
    """Run a cell that awaits something."""
    try:
        value: Any = None
        for code in filter(None, parts):
            value = eval(code, names)
            if code.co_flags & inspect.CO_COROUTINE:
                value = await value
        return value
    finally:
        finish()


def number_of(shell: Any) -> int:
    """The number of the cell that runs: versions of IPython count at different moments."""
    return max(len(shell.user_ns.get("In", ())) - 1, 0)


def compiled(shell: Any, cell: str) -> Parts:
    """A cell as statements, and the expression at its end, whose value is the cell's.

    Raises SyntaxError.
    """
    text = shell.transform_cell(cell)
    name = shell.compile.cache(text, number_of(shell), raw_code=cell)
    tree = shell.transform_ast(shell.compile.ast_parse(text, filename=name))
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not text.rstrip().endswith(";"):
        last = compile(ast.Expression(tree.body.pop().value), name, "eval", flags)
    return compile(tree, name, "exec", flags), last


def parser() -> Parser:
    """What the magic takes."""
    made = Parser(prog="%%otrace", add_help=False, allow_abbrev=False)
    made.add_argument("--export", action="append", metavar="NAME[=FILE]")
    made.add_argument("--height", type=int, default=HEIGHT, metavar="PIXELS")
    return made


def parse(line: str) -> argparse.Namespace:
    """The magic's arguments. Raises UsageError."""
    try:
        return parser().parse_args(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"%%otrace: {error}") from None


def jobs_of(texts: list[str] | None, stem: str) -> list[tuple[exporting.Exporter, str | None]]:
    """(exporter, target) of each --export, checked. Raises UsageError."""
    jobs = []
    for text in texts or ["perfetto"]:
        name, _, target = text.partition("=")
        exporter = exporting.find(name)
        path = target or (stem + exporter.suffixes[0] if exporter.suffixes else None)
        exporting.check(path, exporter=exporter)
        jobs.append((exporter, path))
    return jobs


def show(
    shell: Any,
    recording: Recording,
    jobs: list[tuple[exporting.Exporter, str | None]],
    height: int,
) -> None:
    """Publish the flamegraph with its table, and where the timeline is."""
    from otrace.profile import Profile
    from otrace_exporters.flamegraph.facts import meta_of
    from otrace_exporters.flamegraph.page import page_of

    profile = Profile.of(recording, slowest=0)
    page = page_of(recording, profile, title="cell", most=MOST_FRAMES)
    places = []
    problems = []
    for exporter, target in jobs:
        try:
            places.append(exporting.export(recording, target, exporter=exporter))
        except OtraceError as error:
            problems.append(str(error))
    meta = " \u00b7 ".join(meta_of(recording, profile))
    words = [meta, *(f"{place.target}" for place in places), *problems]
    shell.display_pub.publish(
        {
            "text/html": frame(page, height) + links([place.target for place in places], problems),
            "text/plain": "\n".join([*words, *table(profile)]),
        }
    )


def frame(page: bytes, height: int) -> str:
    """The page in a frame that may run its own script, and nothing of the notebook's."""
    source = html.escape(page.decode(), quote=True)
    return (
        f'<iframe sandbox="{SANDBOX}" srcdoc="{source}" title="otrace" loading="lazy" '
        f'style="width:100%;height:{height}px;border:1px solid #8884;border-radius:8px"></iframe>'
    )


def links(targets: list[str | None], problems: list[str]) -> str:
    """The exported files, to download wherever the kernel is; addresses and errors as text."""
    parts = [link(target) for target in targets if target is not None]
    parts += [html.escape(problem) for problem in problems]
    return f"<div>Timeline: {', '.join(parts)}</div>" if parts else ""


def link(target: str) -> str:
    """A link that holds a file, if that is small enough to be kept in the notebook."""
    text = html.escape(target.encode("utf-8", "backslashreplace").decode())
    if not os.path.isfile(target):
        return text
    with open(target, "rb") as file:
        content = file.read(LARGEST_READ + 1)
    is_packed = target.endswith(".gz")
    packed = None
    if len(content) <= LARGEST_READ:
        packed = content if is_packed else gzip.compress(content, COMPRESSION)
    if packed is None or len(packed) > LARGEST_KEPT:
        return f"{text} (too large for a link: it is on the kernel's machine)"
    name = os.path.basename(text) + ("" if is_packed else ".gz")
    data = base64.b64encode(packed).decode()
    return f'<a href="data:application/gzip;base64,{data}" download="{name}">{text}</a>'


def table(profile: Profile) -> list[str]:
    """The functions with the most self time, for terminals."""
    from otrace_exporters.flamegraph.facts import duration

    called = [function for function in profile.functions if function.runs]
    rows = sorted(called, key=lambda function: (-function.self_ns, function.name))
    lines = [f"{'self':>10} {'total':>10} {'calls':>9}  function"] if rows else []
    for row in rows[:MOST_ROWS]:
        name = row.name.encode("utf-8", "backslashreplace").decode()
        lines.append(
            f"{duration(row.self_ns):>10} {duration(row.total_ns):>10} {row.calls:>9,}  {name}"
        )
    return lines
