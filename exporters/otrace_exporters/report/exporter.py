"""The exporter `report`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExportResult, Progress, open_output
from otrace_exporters.files import FileExporter, needed
from otrace_exporters.flamegraph.exporter import EDITOR, TASKS

if TYPE_CHECKING:
    from otrace.recording import Recording

SLOWEST = 20


class ReportExporter(FileExporter):
    """Writes one page to send: summary, functions, slowest calls, counters, the flamegraph."""

    name = "report"
    suffixes = (".report.html",)
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
        from otrace_exporters.report.page import report

        tasks = bool(options["tasks"])
        profile = Profile.of(recording, slowest=SLOWEST, tasks=tasks, progress=progress)
        with open_output(needed(target)) as output:
            output.write(report(recording, profile, editor=str(options["editor"])))
        return ExportResult(target, profile.calls, output.written)
