"""Folded stacks (`.folded`): a line a call path, for flamegraph.pl and the many that read the same.

    MainThread;__main__.main;json.dumps 5120

The number is the path's self time in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otrace.exporting import ExportResult, Progress, open_output
from otrace_exporters.files import FileExporter, needed
from otrace_exporters.profiles import calls_of, plain, profile_of

if TYPE_CHECKING:
    from otrace.profile import Profile
    from otrace.recording import Recording

BLOCK_LINES = 4096


class FoldedExporter(FileExporter):
    """Writes the tree of call paths, the thread as the outermost frame."""

    name = "folded"
    suffixes = (".folded", ".folded.gz")

    def export(
        self,
        recording: Recording,
        target: str | None,
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> ExportResult:
        """Write the file. Raises ExportError, RecordingError."""
        profile = profile_of(recording, "thread", progress)
        block: list[str] = []
        with open_output(needed(target)) as output:
            for line in lines_of(profile):
                block.append(line)
                if len(block) == BLOCK_LINES:
                    output.write("".join(block).encode())
                    block.clear()
            output.write("".join(block).encode())
        return ExportResult(target, calls_of(profile), output.written)


def frame(name: str) -> str:
    """A name as a frame: semicolons part frames."""
    return plain(name).replace(";", ":")


def lines_of(profile: Profile) -> Iterator[str]:
    """A line for each path with time of its own."""
    tree = profile.tree
    names = [frame(function.name) for function in profile.functions]
    for root in profile.roots:
        stack: list[str] = []
        for node, entered in tree.descend(root.node):
            if not entered:
                stack.pop()
                continue
            stack.append(frame(root.label) if node == root.node else names[tree.function[node]])
            if tree.self_ns[node] > 0:
                yield f"{';'.join(stack)} {tree.self_ns[node]}\n"
