"""Perfetto's native trace (`.pftrace`): small, and the quickest for Perfetto's UI to open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from otrace.exporting import (
    ExporterOption,
    ExportResult,
    Progress,
    check_output,
    open_output,
)
from otrace_exporters.numbers import Numbers, estimate_calls

if TYPE_CHECKING:
    from otrace.recording import Recording

BYTES_A_CALL = 27  # for the progress bar alone
SEQUENCES_A_TRACK = 2
PROCESS_SEQUENCE = 1
FIRST_TRACK_SEQUENCE = 2


class PerfettoExporter:
    """Writes packets as the native encoder makes them: one sequence a thread."""

    name = "perfetto"
    suffixes = (".pftrace", ".perfetto-trace", ".pftrace.gz")
    options: tuple[ExporterOption, ...] = ()

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
        """Write the file. Raises ExportError, RecordingError."""
        from otrace.encoding import perfetto_blocks, perfetto_process

        assert target is not None
        expected = estimate_calls(recording) * BYTES_A_CALL
        pids, tids = Numbers(), Numbers()
        uuid, sequence, encoded, calls = 1, FIRST_TRACK_SEQUENCE, 0, 0
        with open_output(target) as output:
            for position, process in enumerate(recording.processes):
                process_uuid = uuid
                pid = pids.take(process.pid)
                output.write(
                    perfetto_process(
                        process,
                        process_uuid=process_uuid,
                        sequence=PROCESS_SEQUENCE,
                        pid=pid,
                        order=position,
                    )
                )
                uuid += 1
                for order, track in enumerate(process.tracks):
                    blocks = perfetto_blocks(
                        track,
                        sequence=sequence,
                        process_uuid=process_uuid,
                        thread_uuid=uuid,
                        base_mono_ns=recording.start_mono_ns,
                        base_wall_ns=recording.start_wall_ns,
                        pid=pid,
                        tid=tids.take(track.os_tid),
                        order=order,
                    )
                    uuid += 1
                    sequence += SEQUENCES_A_TRACK
                    for block in blocks:
                        output.write(block)
                        encoded += len(block)
                        if progress is not None:
                            progress(encoded / expected)
                    calls += blocks.calls
        return ExportResult(target, calls, output.written)
