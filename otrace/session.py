"""Session folders: one recording is one folder `NAME.otrace/`, private to its user.

It holds `manifest.json`, written here, and one segment a process, written by the recorder.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress

from otrace.errors import SessionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otrace.config import Options

SUFFIX = ".otrace"
MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
SEGMENT_SUFFIX = ".segment"
FAILED_SUFFIX = ".failed"
ATTEMPTS = 100
COPY_BLOCK = 1 << 20


class Session:
    """A session folder that this process made, and its manifest."""

    def __init__(self, path: str, manifest: dict[str, object]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(
        cls, program: str, options: Options, *, folder: str | None = None, path: str | None = None
    ) -> Session:
        """Make a new folder: `path` itself, or a new name in `folder` (the temporary folder).

        The folder is 0700 and never an existing one or a link. Raises SessionError.
        """
        from otrace import __version__

        base = folder or options.session_dir or temporary_folder()
        manifest: dict[str, object] = {
            "format": MANIFEST_FORMAT,
            "otrace": __version__,
            "created_ns": time.time_ns(),
            "argv": [program],
            "program": program,
            "options": options.as_dict(),
        }
        session = cls(make_private(path) if path else make_unique(base, program), manifest)
        try:
            session.write_manifest()
        except SessionError:
            session.remove()
            raise
        return session

    def set_root(self, pid: int) -> None:
        """Note the program's process. Raises SessionError."""
        self.manifest["root_pid"] = pid
        self.write_manifest()

    def finish(self, *, status: int | None = None, signal: int | None = None) -> None:
        """Note how the program ended: exit status or signal. Raises SessionError."""
        self.manifest["exit"] = {"status": status} if signal is None else {"signal": signal}
        self.write_manifest()

    def write_manifest(self) -> None:
        """Replace the manifest, at once or not at all. Raises SessionError."""
        import json

        text = json.dumps(self.manifest, indent=1, ensure_ascii=True)
        partial = os.path.join(self.path, f".{MANIFEST}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with suppress(FileNotFoundError):
                os.unlink(partial)
            with open(os.open(partial, flags, 0o600), "w", encoding="ascii") as file:
                file.write(text + "\n")
            os.rename(partial, os.path.join(self.path, MANIFEST))
        except OSError as error:
            raise SessionError(
                f"cannot write the recording's manifest in {self.path}: {error.strerror}"
            ) from error

    def has_segments(self) -> bool:
        """Whether any process has recorded anything."""
        with suppress(OSError):
            return any(name.endswith(SEGMENT_SUFFIX) for name in os.listdir(self.path))
        return False

    def first_failure(self) -> str:
        """Why a process could not be recorded; empty for none."""
        return next((why for _, why in failures(self.path)), "")

    def remove(self) -> None:
        """Delete the folder. Processes that still record into it go on without harm."""
        remove_tree(self.path)

    def keep(self, target: str | None = None, *, replace: bool = False) -> str:
        """Move the folder to `target`, or to `<program>-<time>.otrace` in the current folder.

        Returns where it is now. Across file systems it is copied, holes kept. Raises SessionError;
        the recording is then where it was.
        """
        wanted = target or kept_name(str(self.manifest["program"]))
        wanted = os.path.abspath(wanted)
        if wanted == self.path:
            return self.path
        try:
            if replace:
                remove_tree(wanted)
            self.path = move(self.path, wanted if target else first_free(wanted))
        except OSError as error:
            raise SessionError(
                f"cannot move the recording to {wanted}: {error.strerror}; it stays in {self.path}"
            ) from error
        return self.path


def temporary_folder() -> str:
    """Where recordings go by default: $TMPDIR, /tmp, /var/tmp, or the current folder."""
    for folder in (os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp"):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return os.path.abspath(folder)
    return os.path.abspath(".")


def kept_name(program: str) -> str:
    """`<program>-<time>.otrace`, in local time."""
    return f"{stem(program)}-{time.strftime('%Y%m%d-%H%M%S')}{SUFFIX}"


def stem(program: str) -> str:
    """What outputs are called after: "app" for "dir/app.py"; never empty, never a path."""
    name = os.path.basename(program.rstrip("/"))
    if name.endswith((".py", ".pyc", ".pyw", ".pyz")):
        name = name.rpartition(".")[0]
    name = "".join(
        char if char.isprintable() and not 0xD800 <= ord(char) <= 0xDFFF else "_" for char in name
    )
    return name.lstrip(".-")[:100] or "program"


def make_private(path: str) -> str:
    """Make the folder `path`, 0700; returns its absolute path. Raises SessionError."""
    path = os.path.abspath(path)
    try:
        os.mkdir(path, 0o700)  # fails on anything that exists, links included
        os.chmod(path, 0o700)  # whatever the umask took away
    except OSError as error:
        raise SessionError(f"cannot make the recording {path}: {error.strerror}") from error
    return path


def make_unique(folder: str, program: str) -> str:
    """Make a new session folder in `folder`; returns its absolute path. Raises SessionError."""
    for attempt in range(ATTEMPTS):
        name = f"{stem(program)}-{os.urandom(4).hex()}{SUFFIX}"
        try:
            return make_private(os.path.join(folder, name))
        except SessionError as error:
            cause = error.__cause__
            assert isinstance(cause, OSError)
            if cause.errno != errno.EEXIST or attempt == ATTEMPTS - 1:
                raise SessionError(
                    f"cannot make a recording in {folder}: {cause.strerror}; "
                    "choose another folder with --session-dir"
                ) from cause
    raise AssertionError


def first_free(path: str) -> str:
    """`path`, or `path` with -2, -3, … before its suffix when that exists."""
    base, free, number = path.removesuffix(SUFFIX), path, 2
    while os.path.lexists(free):
        free = f"{base}-{number}{SUFFIX}"
        number += 1
    return free


def move(source: str, target: str) -> str:
    """Move a session folder; across file systems copy it, then delete it. Raises OSError."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            os.mkdir(target, 0o700)
            for name in os.listdir(source):
                copy_sparse(os.path.join(source, name), os.path.join(target, name))
        except BaseException:
            remove_tree(target)
            raise
        remove_tree(source)
    return target


def copy_sparse(source: str, target: str) -> None:
    """Copy a regular file, holes as holes; anything else is left out. Raises OSError."""
    if not stat.S_ISREG(os.lstat(source).st_mode):
        return
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    writing = -1
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(target, flags, 0o600)
        size = os.fstat(reading).st_size
        os.ftruncate(writing, size)
        position = 0
        while position < size:
            try:
                position = os.lseek(reading, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    break
                raise
            end = os.lseek(reading, position, os.SEEK_HOLE)
            while position < end:
                block = os.pread(reading, min(COPY_BLOCK, end - position), position)
                if not block:
                    return
                os.pwrite(writing, block, position)
                position += len(block)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def remove_tree(path: str) -> None:
    """Delete a session folder, following no link; what cannot be deleted is left."""
    with suppress(OSError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return
        for name in os.listdir(path):
            with suppress(OSError):  # a folder in it is not ours
                os.unlink(os.path.join(path, name))
        os.rmdir(path)


def read_manifest(path: str) -> Mapping[str, object]:
    """The manifest of a session folder; empty when missing or damaged."""
    import json

    try:
        descriptor = os.open(
            os.path.join(path, MANIFEST), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        )
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            manifest = json.loads(file.read(1 << 20))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def failures(path: str) -> list[tuple[int, str]]:
    """The processes that could not be recorded, each with why: their start-up code left it here."""
    found = []
    with suppress(OSError):
        for name in sorted(os.listdir(path)):
            number = name.removesuffix(FAILED_SUFFIX)
            if number != name and number.isdecimal():
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with suppress(OSError):
                    descriptor = os.open(os.path.join(path, name), flags)
                    with open(descriptor, encoding="utf-8", errors="replace") as file:
                        found.append((int(number), file.readline(1000).strip()))
    return found
