"""What the commands over profiles share: counting a recording with a bar, and its warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otrace.cli.progress import ProgressBar
from otrace.cli.words import say

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.profile.profile import Roots
    from otrace.recording import Recording, Track


def count(
    recording: Recording,
    *,
    roots: Roots = "all",
    slowest: int = 0,
    tracks: list[Track] | None = None,
) -> Profile:
    """The recording's profile, with a progress bar when it takes long. Raises RecordingError."""
    from otrace.profile import Profile

    with ProgressBar("counting calls") as progress:
        return Profile.of(recording, roots=roots, slowest=slowest, tracks=tracks, progress=progress)


def warn(profile: Profile) -> None:
    """Says what is missing, on stderr."""
    lost = sum(process.losses.calls for process in profile.recording.processes)
    if lost:
        say(f"{lost:,} calls were overwritten when the buffer was full: they are not in this")
    for line in profile.warnings:
        say(line)
