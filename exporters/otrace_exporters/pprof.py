"""pprof's format (`.pb.gz`): for `go tool pprof`, and the services that store such profiles.

The messages of github.com/google/pprof/proto/profile.proto, with two values a call path: how many
calls it had, and its self time. Each path is labelled with its thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExportResult, Progress, open_output
from otrace_exporters.files import FileExporter, needed
from otrace_exporters.profiles import calls_of, plain, profile_of
from otrace_exporters.protobuf import bytes_field, number_field, text_field, varint

if TYPE_CHECKING:
    from otrace.profile import FunctionProfile, Profile
    from otrace.recording import Recording

# Fields of Profile.
SAMPLE_TYPE, SAMPLE, LOCATION, FUNCTION, STRINGS = 1, 2, 4, 5, 6
TIME, DURATION, PERIOD_TYPE, PERIOD, COMMENT, DEFAULT_TYPE = 9, 10, 11, 12, 13, 14
BLOCK_BYTES = 1 << 18


class PprofExporter(FileExporter):
    """Writes the tree of call paths as samples."""

    name = "pprof"
    suffixes = (".pb.gz",)

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        profile = profile_of(recording, "thread", progress)
        strings = Strings()
        block = bytearray()
        with open_output(needed(target)) as output:
            for message in messages_of(profile, strings):
                block += message
                if len(block) >= BLOCK_BYTES:
                    output.write(block)
                    block = bytearray()
            for text in strings.texts:
                block += text_field(STRINGS, text)
            output.write(block)
        return ExportResult(target, calls_of(profile), output.written)


class Strings:
    """The string table; 0 is the empty string."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        """The position of a text."""
        return self.texts.setdefault(plain(text), len(self.texts))


def numbers(*pairs: tuple[int, int]) -> bytes:
    """Fields with a number each; zeros are left out, as is usual."""
    return b"".join(number_field(number, value) for number, value in pairs if value)


def messages_of(profile: Profile, strings: Strings) -> Iterator[bytes]:
    """All fields of the Profile but its strings."""
    calls, count = strings.number("calls"), strings.number("count")
    wall, nanoseconds = strings.number("wall"), strings.number("nanoseconds")
    yield bytes_field(SAMPLE_TYPE, numbers((1, calls), (2, count)))
    yield bytes_field(SAMPLE_TYPE, numbers((1, wall), (2, nanoseconds)))
    recording = profile.recording
    yield numbers((TIME, recording.start_wall_ns), (DURATION, recording.duration_ns))
    yield bytes_field(PERIOD_TYPE, numbers((1, wall), (2, nanoseconds)))
    yield numbers((PERIOD, 1), (DEFAULT_TYPE, wall))
    for warning in profile.warnings:
        yield numbers((COMMENT, strings.number(warning)))
    for function in profile.functions:
        if function.runs:
            yield from function_messages(function, strings)
    yield from sample_messages(profile, strings)


def function_messages(function: FunctionProfile, strings: Strings) -> Iterator[bytes]:
    """A function, and the one location that stands for it."""
    number = function.index + 1  # 0 is no id
    name = strings.number(function.name)
    system_name = strings.number(function.qualified)
    file = strings.number(function.file)
    line = function.line
    yield bytes_field(
        FUNCTION, numbers((1, number), (2, name), (3, system_name), (4, file), (5, line))
    )
    yield bytes_field(
        LOCATION, numbers((1, number)) + bytes_field(4, numbers((1, number), (2, line)))
    )


def sample_messages(profile: Profile, strings: Strings) -> Iterator[bytes]:
    """A sample for each call path, the innermost function first."""
    tree = profile.tree
    ids = [varint(function.index + 1) for function in profile.functions]
    thread = strings.number("thread")
    for root in profile.roots:
        label = bytes_field(3, numbers((1, thread), (2, strings.number(root.label))))
        stack: list[bytes] = []
        for node, entered in tree.descend(root.node):
            if node == root.node:
                continue
            if not entered:
                stack.pop()
                continue
            stack.append(ids[tree.function[node]])
            values = varint(tree.calls[node]) + varint(tree.self_ns[node])
            path = bytes_field(1, b"".join(reversed(stack)))
            yield bytes_field(SAMPLE, path + bytes_field(2, values) + label)
