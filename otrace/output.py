"""Output files: written under another name beside the target, and renamed when complete."""

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from otrace.errors import ExportError, UsageError

GZIP_LEVEL = 3  # trace rows repeat themselves: higher levels cost much and gain little
GZIP_WBITS = 31


class OutputFile:
    """A file being written, compressed when its target ends in `.gz`."""

    def __init__(self, descriptor: int, *, compress: bool) -> None:
        self._descriptor = descriptor
        self._compressor = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WBITS) if compress else None
        self.written = 0
        """Bytes in the file so far."""

    def write(self, block: "bytes | bytearray | memoryview") -> None:
        """Append a block, whole. Raises OSError."""
        self._write_raw(block if self._compressor is None else self._compressor.compress(block))

    def finish(self) -> None:
        """Write what compression has held back."""
        if self._compressor is not None:
            self._write_raw(self._compressor.flush())

    def _write_raw(self, block: "bytes | bytearray | memoryview") -> None:
        rest = memoryview(block).cast("B")
        while rest:
            count = os.write(self._descriptor, rest)
            self.written += count
            rest = rest[count:]


def is_special(target: str) -> bool:
    """Whether the target exists and is a pipe or a device, which is written in place."""
    try:
        return not stat.S_ISREG(os.stat(target).st_mode)
    except OSError:
        return False


def partial_name(target: str) -> str:
    """Where an output is written until it is complete: beside the file that it will replace."""
    folder, name = os.path.split(os.path.realpath(target))
    return os.path.join(folder, f".{name[:200]}.{os.getpid()}.part")


def check_output(target: str) -> None:
    """Raise UsageError when no file can be written at `target`. Leaves nothing behind."""
    try:
        if os.path.isdir(target):
            raise UsageError(f"cannot write {target}: it is a directory; give a file name with -o")
        if is_special(target):
            os.close(os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            return
        probe = partial_name(target)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.unlink(probe)
    except OSError as error:
        raise UsageError(
            f"cannot write {target}: {error.strerror}; choose another with -o"
        ) from None


@contextmanager
def open_output(target: str) -> Iterator[OutputFile]:
    """The file to write `target` through: complete at the end, or not there at all.

    Compressed when the name ends in `.gz`. Raises ExportError when it cannot be written.
    """
    partial = "" if is_special(target) else partial_name(target)
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        if partial:
            with suppress(FileNotFoundError):
                os.unlink(partial)  # left by a killed process that had the same id
            flags |= os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(partial or target, flags, 0o666)
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror}") from None
    try:
        try:
            output = OutputFile(descriptor, compress=target.endswith(".gz"))
            yield output
            output.finish()
        finally:
            os.close(descriptor)
        if partial:
            os.rename(partial, os.path.realpath(target))
    except BaseException as error:
        if partial:
            with suppress(OSError):
                os.unlink(partial)
        if isinstance(error, OSError):
            raise ExportError(f"cannot write {target}: {error.strerror or error}") from error
        raise
