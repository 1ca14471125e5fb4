"""The reader's half of the compiled module: statuses become exceptions, bytes become text.

The only importer of `otrace._native` on the reading side.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

from otrace._native import ffi, lib
from otrace.errors import RecordingError

__all__ = ["blocks_of", "check", "ffi", "lib", "open_segment", "text"]

_CAUSES = {
    lib.OTRACE_READ_EMPTY: "it is empty: the process ended before it recorded anything",
    lib.OTRACE_READ_FOREIGN: "it is not a segment of otrace",
    lib.OTRACE_READ_VERSION: "it has format {number}, which is newer than this otrace; upgrade",
    lib.OTRACE_READ_DAMAGED: "its header is damaged ({field} is {number})",
}


def check(status: int, what: str) -> None:
    """Raise RecordingError, or MemoryError, unless the status is good."""
    if status == lib.OTRACE_READ_OK:
        return
    if status == lib.OTRACE_READ_NO_MEMORY:
        raise MemoryError(f"no memory to read {what}")
    raise RecordingError(f"cannot read {what}: the reader failed with status {status}")


def blocks_of(
    advance: Callable[[Any, Any, int, Any], int], cursor: Any, what: str, block_size: int
) -> Iterator[memoryview]:
    """What a native cursor writes, block by block until its end. Raises RecordingError.

    A block is valid until the next one is asked for: write it, or copy it.
    """
    memory = bytearray(block_size)
    block = ffi.from_buffer("char[]", memory, require_writable=True)
    written = ffi.new("size_t *")
    view = memoryview(memory)
    while True:
        check(advance(cursor, block, block_size, written), what)
        if written[0] == 0:
            return
        yield view[: written[0]]


def _allow_more_files() -> None:
    """For a session of a thousand processes: ask for as many files as the system allows."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _try_open(path: str, out: Any, problem: Any) -> int:
    """The status of the native reader; an OSError's number is in the problem too."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        problem.number = error.errno
        return int(lib.OTRACE_READ_IO)
    try:
        return int(lib.otrace_segment_open(fd, out, problem))
    finally:
        os.close(fd)


def open_segment(path: str) -> Any:
    """The checked segment at `path`, freed with its last reference.

    Raises RecordingError, which names the path and the cause.
    """
    out = ffi.new("struct otrace_segment **")
    problem = ffi.new("struct otrace_read_problem *")
    status = _try_open(path, out, problem)
    if status == lib.OTRACE_READ_IO and problem.number == errno.EMFILE:
        _allow_more_files()
        status = _try_open(path, out, problem)
    if status in _CAUSES:
        field = ffi.string(problem.field).decode()
        cause = _CAUSES[status].format(number=problem.number, field=field)
        raise RecordingError(f"cannot read {path}: {cause}")
    if status == lib.OTRACE_READ_IO:
        raise RecordingError(f"cannot read {path}: {os.strerror(problem.number)}")
    check(status, path)
    return ffi.gc(out[0], lib.otrace_segment_free)


def text(source: Any) -> str:
    """A struct otrace_text as a string, as by decode."""
    if source.size == 0:
        return ""
    data: bytes = ffi.buffer(source.text, source.size)[:]
    return decode(data)


def decode(data: bytes) -> str:
    """Recorded text: UTF-8 with lone surrogates; stray bytes are shown as hex escapes."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace")
