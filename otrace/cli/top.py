"""`otrace top`: a live table and tree of a recording, read from outside.

The program is not touched: its recording is opened again for each picture.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from otrace.cli import layout
from otrace.cli.words import count as counted
from otrace.cli.words import duration
from otrace.errors import RecordingError, UsageError

INTERVAL_S = 1.0
SHARE_OF_TIME = 0.2  # of a core, that counting may take
KEYS = "q quit  t tree/table  s order  space pause"
SORTS = ("self", "total", "calls", "max")
LEAST = 0.01

EPILOG = """\b
Examples:
  otrace top 4242
  otrace top /tmp/app-20260102-030405.otrace
  otrace top app.otrace --once
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="PID|RECORDING")
@click.option("--once", is_flag=True, help="Show one picture and end, for scripts.")
@click.option("--tree", "as_tree", is_flag=True, help="Begin with the tree.")
@click.option("--sort", type=click.Choice(SORTS), default="self", show_default=True, help="Order.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=INTERVAL_S,
    show_default=True,
    help="Seconds between pictures, at least.",
)
def command(target: str, once: bool, as_tree: bool, sort: str, interval: float) -> None:
    """Show where the time of a running recording goes, read from outside.

    TARGET is the id of a traced process or a recording's folder. Keys: q ends, t changes between
    table and tree, s the order, space pauses.
    """
    path = find(target)
    view = View(path, sort, as_tree=as_tree)
    if once:
        for line in view.lines(None):
            click.echo(line)
        return
    if not sys.stdout.isatty():
        raise UsageError("cannot show a live picture: standard output is no terminal; use --once")
    with screen(), suppress(KeyboardInterrupt):
        live(view, interval)


def find(target: str) -> str:
    """The recording of a path, or of a process that is being recorded. Raises UsageError."""
    if os.path.exists(target) or not target.isdigit():
        return target
    folders = [
        os.path.dirname(mapped)
        for mapped in mapped_files(int(target))
        if mapped.endswith(".segment")
    ]
    if not folders:
        raise UsageError(f"process {target} is not being recorded; give the recording's folder")
    return folders[-1]


def mapped_files(pid: int) -> list[str]:
    """The files that a process has mapped. Raises UsageError when it cannot be looked at."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as maps:
            lines = maps.read().splitlines()
    except OSError as error:
        why = "there is no such process" if isinstance(error, FileNotFoundError) else error.strerror
        raise UsageError(f"cannot look at process {pid}: {why}") from None
    return [os.fsdecode(parts[5]) for line in lines if len(parts := line.split(None, 5)) == 6]


class View:
    """What the picture shows."""

    def __init__(self, path: str, sort: str, *, as_tree: bool) -> None:
        self.path = path
        self.sort = sort
        self.as_tree = as_tree
        self.paused = False
        self.cost_s = 0.0
        self._kept: list[str] = []

    def lines(self, height: int | None) -> list[str]:
        """The picture, `height` lines at most (None: as many as there are)."""
        if self.paused and self._kept:
            return self._kept[:height]
        started = time.monotonic()
        try:
            self._kept = self._count(height)
        except RecordingError as error:
            if height is None or not Path(self.path).exists():
                raise
            self._kept = [f"waiting: {error}"]  # it has only just begun
        self.cost_s = time.monotonic() - started
        return self._kept[:height]

    def _count(self, height: int | None) -> list[str]:
        from otrace.cli.stats import arrange, rows_of
        from otrace.cli.stats import lines_of as table_lines
        from otrace.cli.tree import tree_lines
        from otrace.profile import Profile
        from otrace.recording import Recording

        recording = Recording.open(self.path)
        profile = Profile.of(recording, roots="thread" if self.as_tree else "all", slowest=0)
        calls = sum(profile.tree.calls[root.node] for root in profile.roots)
        lost = sum(process.losses.calls for process in recording.processes)
        head = f"{layout.printable(os.path.basename(self.path.rstrip('/')))}: "
        head += f"{duration(recording.duration_ns)}, {counted(calls, 'call')}"
        head += f", {len(recording.processes)} process" + "es" * (len(recording.processes) != 1)
        head += f", {lost:,} lost" if lost else ""
        if self.as_tree:
            body = list(tree_lines(profile, LEAST, everything=False))
        else:
            rows = arrange(rows_of(profile, "function"), self.sort)
            body = table_lines(rows[: height or 30], profile.total_ns)
        return [layout.shorten(head, layout.columns()), *body]

    def press(self, key: str) -> bool:
        """Does what a key says; False for the end."""
        if key == "t":
            self.as_tree = not self.as_tree
        elif key == "s":
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        elif key == " ":
            self.paused = not self.paused
        return key not in ("q", "\x04", "\x1b")


@contextmanager
def screen() -> Iterator[None]:
    """The terminal's other screen, keys without Enter; as before at the end."""
    import termios
    import tty

    before = termios.tcgetattr(0) if os.isatty(0) else None
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    sys.stdout.flush()
    try:
        if before is not None:
            tty.setcbreak(0)
        yield
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def live(view: View, interval: float) -> None:
    """Draws picture after picture until a key ends it."""
    while True:
        height = shutil.get_terminal_size().lines
        lines = view.lines(height - 1)
        status = f"{KEYS}  | by {view.sort}{', paused' if view.paused else ''}"
        foot = layout.paint(layout.shorten(status, layout.columns()), layout.DIM, layout.coloured())
        text = "".join(f"{line}\x1b[K\r\n" for line in lines)
        sys.stdout.write(f"\x1b[H{text}{foot}\x1b[J")
        sys.stdout.flush()
        key = wait_for_key(max(interval, view.cost_s / SHARE_OF_TIME))
        if key is not None and not view.press(key):
            return


def wait_for_key(seconds: float) -> str | None:
    """A key that is pressed within that time; None: none was."""
    if not os.isatty(0):
        time.sleep(seconds)
        return None
    ready, _, _ = select.select([0], [], [], seconds)
    return os.read(0, 1).decode("latin-1") if ready else None
