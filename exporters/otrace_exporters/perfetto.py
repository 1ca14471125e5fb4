"""Perfetto's native trace (`.pftrace`): small, and the quickest for Perfetto's UI to open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExporterOption, ExportResult, Progress, open_output
from otrace_exporters.arrows import Shown, arrows
from otrace_exporters.files import FileExporter, needed
from otrace_exporters.numbers import Numbers, estimate_calls

if TYPE_CHECKING:
    from otrace.recording import Recording

BYTES_A_CALL = 27  # for the progress bar alone
SEQUENCES_A_TRACK = 2
PROCESS_SEQUENCE = 1
FIRST_TRACK_SEQUENCE = 2

TASKS_OPTION = ExporterOption("tasks", bool, True, "Tasks of event loops on tracks of their own.")


class PerfettoExporter(FileExporter):
    """Writes packets as the native encoder makes them: one sequence a thread."""

    name = "perfetto"
    suffixes = (".pftrace", ".perfetto-trace", ".pftrace.gz")
    options = (TASKS_OPTION,)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        from otrace.encoding import perfetto_blocks, perfetto_process
        from otrace.encoding_tasks import perfetto_task_blocks

        expected = estimate_calls(recording) * BYTES_A_CALL
        pids, tids = Numbers(), Numbers()
        shown: list[Shown[int]] = []
        uuid, sequence, encoded, calls = 1, FIRST_TRACK_SEQUENCE, 0, 0
        with open_output(needed(target)) as output:
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
                    track_uuid, uuid = uuid, uuid + 1
                    sequence += SEQUENCES_A_TRACK
                    for block in blocks:
                        output.write(block)
                        encoded += len(block)
                        if progress is not None:
                            progress(encoded / expected)
                    calls += blocks.calls
                    shown.append(Shown(track, track_uuid, blocks.first_ns))
                if options["tasks"]:
                    for block in perfetto_task_blocks(
                        process,
                        sequence=sequence,
                        process_uuid=process_uuid,
                        base_mono_ns=recording.start_mono_ns,
                        base_wall_ns=recording.start_wall_ns,
                    ):
                        output.write(block)
                    sequence += 1
            for packet in flow_packets(recording, shown):
                output.write(packet)
        return ExportResult(target, calls, output.written)


def flow_packets(recording: Recording, shown: list[Shown[int]]) -> Iterator[bytes]:
    """The arrows between tracks, which are known by their uuids."""
    from otrace.encoding import perfetto_flow

    for arrow in arrows(recording, shown):
        for uuid, time_ns, is_end in (
            (arrow.start, arrow.start_ns, False),
            (arrow.end, arrow.end_ns, True),
        ):
            yield perfetto_flow(
                arrow.id,
                track_uuid=uuid,
                mono_ns=recording.start_mono_ns + time_ns,
                sequence=PROCESS_SEQUENCE,
                is_end=is_end,
            )
