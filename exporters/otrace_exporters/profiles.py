"""What the exporters of profiles share: a profile of the recording, and texts without traps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from otrace.exporting import Progress
    from otrace.profile import Profile
    from otrace.recording import Recording


def profile_of(
    recording: Recording, roots: Literal["thread", "all"], progress: Progress | None
) -> Profile:
    """The recording's profile, without what only people look at."""
    from otrace.profile import Profile

    return Profile.of(recording, roots=roots, slowest=0, progress=progress)


def calls_of(profile: Profile) -> int:
    """The runs of all threads: what a profile's count says is in it."""
    return sum(profile.tree.runs[root.node] for root in profile.roots)


def plain(name: str) -> str:
    """A name on one line that any reader takes: no control characters, no lone surrogates."""
    text = name.encode("utf-8", "backslashreplace").decode()
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
