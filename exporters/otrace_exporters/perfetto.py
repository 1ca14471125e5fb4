"""Perfetto's native trace (`.pftrace`): small, and the quickest for Perfetto's UI to open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExporterOption, ExportResult, Progress, open_output
from otrace_exporters.arrows import Shown, arrows
from otrace_exporters.files import JAEGER_OPTION, FileExporter, link_of, needed
from otrace_exporters.loop_lag import (
    LagValue,
    lags_of,
    perfetto_counter,
    perfetto_packet,
)
from otrace_exporters.numbers import Numbers, estimate_calls

if TYPE_CHECKING:
    from otrace.recording import Process, Recording

BYTES_A_CALL = 27  # for the progress bar alone
SEQUENCES_A_TRACK = 2
PROCESS_SEQUENCE = 1
FIRST_TRACK_SEQUENCE = 2
LAG_COUNTERS = 1 << 40  # uuids of counters: this, or-ed with the thread's

TASKS_OPTION = ExporterOption("tasks", bool, True, "Tasks of event loops on tracks of their own.")


class PerfettoExporter(FileExporter):
    """Writes packets as the native encoder makes them: one sequence a thread."""

    name = "perfetto"
    suffixes = (".pftrace", ".perfetto-trace", ".pftrace.gz")
    options = (TASKS_OPTION, JAEGER_OPTION)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        from otrace.encoding import perfetto_blocks, perfetto_process
        from otrace.encoding_spans import perfetto_span_blocks
        from otrace.encoding_tasks import perfetto_task_blocks

        expected = estimate_calls(recording) * BYTES_A_CALL
        pids, tids = Numbers(), Numbers()
        shown: list[Shown[int]] = []
        uuid, sequence, encoded, calls = 1, FIRST_TRACK_SEQUENCE, 0, 0
        with open_output(needed(target)) as output:
            for position, process in enumerate(recording.processes):
                process_uuid, first = uuid, len(shown)
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
                for block in perfetto_span_blocks(
                    process,
                    sequence=sequence,
                    process_uuid=process_uuid,
                    base_mono_ns=recording.start_mono_ns,
                    base_wall_ns=recording.start_wall_ns,
                    link=link_of(options),
                ):
                    output.write(block)
                sequence += 1
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
                mine = {id(one.track): one.place for one in shown[first:]}
                for packet in lag_packets(process, recording, mine, process_uuid):
                    output.write(packet)
            for packet in flow_packets(recording, shown):
                output.write(packet)
        return ExportResult(target, calls, output.written)


def lag_packets(
    process: Process, recording: Recording, places: Mapping[int, int], process_uuid: int
) -> Iterator[bytes]:
    """Blocked event loops, if they are to be shown: on the threads' tracks, and as counters."""
    counters: set[int] = set()
    for item in lags_of(process, recording):
        uuid = places[id(item.track)]
        if isinstance(item, LagValue):
            thread, uuid = uuid, LAG_COUNTERS | uuid
            if thread not in counters:
                counters.add(thread)
                yield perfetto_counter(item.track, uuid, process_uuid, PROCESS_SEQUENCE)
        mono_ns = recording.start_mono_ns + item.time_ns
        yield perfetto_packet(item, uuid, PROCESS_SEQUENCE, mono_ns)


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
