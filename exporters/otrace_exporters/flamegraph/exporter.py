"""The exporter `flamegraph`, and the page that compares two recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExporterOption, ExportResult, Progress, open_output
from otrace_exporters.files import FileExporter, needed

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording

EDITOR = ExporterOption(
    "editor",
    str,
    "vscode",
    "What links to source open: vscode, cursor, zed, pycharm, sublime, emacs, or an address with "
    "{path} and {line}.",
)
TASKS = ExporterOption("tasks", bool, True, "Tasks of event loops beside the threads.")


class FlamegraphExporter(FileExporter):
    """Writes one page that needs no network: flame and icicle, search, zoom, threads."""

    name = "flamegraph"
    suffixes = (".html",)
    options = (EDITOR, TASKS)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the page. Raises ExportError, RecordingError."""
        from otrace.profile import Profile
        from otrace_exporters.flamegraph.page import page_of

        tasks = bool(options["tasks"])
        profile = Profile.of(recording, slowest=0, tasks=tasks, progress=progress)
        page = page_of(recording, profile, editor=str(options["editor"]))
        with open_output(needed(target)) as output:
            output.write(page)
        return ExportResult(target, profile.calls, output.written)


def write_diff(path: str, before: Profile, after: Profile, title: str = "Before and after") -> None:
    """Write the page that shows in red and blue what changed. Raises ExportError.

    A frame is as wide as it is in `after`; the page also shows it as it was in `before`.
    """
    from otrace_exporters.flamegraph.facts import duration
    from otrace_exporters.flamegraph.page import Words, flamegraph
    from otrace_exporters.flamegraph.trees import FunctionTable, compared, narrow, used_only

    functions = FunctionTable()
    tree = compared(before, after, functions)
    trees = [tree] if len(tree) else []
    left_out = narrow(trees, functions)
    notes = [f"The {left_out:,} narrowest call paths are added up."] if left_out else []
    was, now = sum(tree.self_before), sum(tree.self_ns)
    meta = f"{duration(was)} before, {duration(now)} after, in all threads"
    page = flamegraph(Words(title, [meta], notes), trees, used_only(trees, functions))
    with open_output(path) as output:
        output.write(page)
