"""The exporter `report`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExportResult, Progress, check_output, open_output
from otrace_exporters.flamegraph.exporter import EDITOR

if TYPE_CHECKING:
    from otrace.recording import Recording

SLOWEST = 20


class ReportExporter:
    """Writes one page to send: summary, functions, slowest calls, counters, the flamegraph."""

    name = "report"
    suffixes = (".report.html",)
    options = (EDITOR,)

    def check(self, target: str | None, options: Mapping[str, object]) -> None:
        """Raise UsageError when the file cannot be written."""
        assert target is not None
        check_output(target)

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

        assert target is not None
        profile = Profile.of(recording, slowest=SLOWEST, progress=progress)
        with open_output(target) as output:
            output.write(report(recording, profile, editor=str(options["editor"])))
        calls = sum(function.calls for function in profile.functions)
        return ExportResult(target, calls, output.written)
