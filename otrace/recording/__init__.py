"""Recordings, as exporters see them: processes, tracks, and batches of calls as columns.

    recording = Recording.open("app.otrace")
    for process in recording.processes:
        for track in process.tracks:
            for batch in track.batches():
                ...

All times are integers in nanoseconds after `recording.start_mono_ns`. A recording may be open
while its program still runs: it shows what had been recorded when it was opened. Objects of one
recording are for one thread at a time; separate tracks may be read on separate threads.
"""

from otrace.recording.batches import CallBatch, CallFlag, Mark
from otrace.recording.family import Birth, births
from otrace.recording.functions import Function
from otrace.recording.process import Loss, Losses, Process, SegmentSizes, Track, TrackSummary
from otrace.recording.recording import Recording
from otrace.recording.switched_off import SwitchedOff
from otrace.recording.tasks import Task, TaskCalls, Tasks, TaskSteps

__all__ = [
    "Birth",
    "CallBatch",
    "CallFlag",
    "Function",
    "Loss",
    "Losses",
    "Mark",
    "Process",
    "Recording",
    "SegmentSizes",
    "SwitchedOff",
    "Task",
    "TaskCalls",
    "TaskSteps",
    "Tasks",
    "Track",
    "TrackSummary",
    "births",
]
