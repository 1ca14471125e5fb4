"""The recorder's half of the compiled module: statuses become exceptions, text becomes bytes.

The only importer of `otrace._native` on the recording side. The traced program loads this module:
it imports nothing that an interpreter has not loaded anyway.
"""

import os

from otrace._native import ffi, lib
from otrace.errors import RecorderError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otrace.config import Options

_FOLDER = os.path.dirname(os.path.abspath(__file__))
OWN_PATHS = [
    _FOLDER,
    _FOLDER + "_exporters",
    os.path.join(os.path.dirname(_FOLDER), "_otrace_start.py"),
]

# Of the environment: the span of OpenTelemetry's that the process belongs below.
NOTED = ("TRACEPARENT", "TRACESTATE")
NOTE_LONGEST = 1000

# Linux's numbers: `errno` would be a module more in the traced program's sys.modules.
_EBUSY, _EFBIG, _ENOSPC, _ENAMETOOLONG, _ENOTSUP = 16, 27, 28, 36, 95
_CAUSES = {
    _EBUSY: "a recording already runs in this process; stop it first",
    _ENOTSUP: "the interpreter refused the hook (it needs CPython's main interpreter)",
    _EFBIG: "the limit on file sizes (ulimit -f) leaves no room for a buffer",
    _ENAMETOOLONG: "the path is too long",
    _ENOSPC: "the file system is full; choose another folder with session_dir",
}


class Status:
    """What the recorder of this process does now."""

    def __init__(self) -> None:
        raw = ffi.new("struct otrace_record_status *")
        lib.otrace_record_status(raw)
        self.recording = bool(raw.recording)
        self.path: str = os.fsdecode(ffi.string(raw.path))


def library_folders() -> list[str]:
    """The folders of the standard library; site-packages is known by its name."""
    return [os.path.dirname(os.path.abspath(os.__file__))]


def start(options: "Options", folder: str, name: str, *, inherited: bool) -> None:
    """Record this process, to be shown as `name`, into the session `folder`.

    `inherited`: the calls that are open now are told, marked as cut. Raises RecorderError.
    """
    keep: list[object] = []  # cffi frees a buffer with its last reference

    def lines(items: "Iterable[str]") -> object:
        pointer = ffi.new("char[]", os.fsencode("\n".join(items)))
        keep.append(pointer)
        return pointer

    raw = ffi.new("struct otrace_record_options *")
    raw.folder = lines([folder])
    raw.buffer_size = options.buffer_size
    raw.min_duration_ns = options.min_duration_ns
    raw.max_depth = options.max_depth
    raw.overhead = options.overhead
    raw.c_calls = options.c_calls
    raw.follow_forks = options.follow
    raw.inherited = inherited
    raw.include = lines(options.include)
    raw.exclude = lines(options.exclude)
    raw.exclude_functions = lines(options.exclude_functions)
    raw.library_paths = ffi.NULL if options.stdlib else lines(library_folders())
    raw.process_name = lines([name])
    raw.notes = lines(
        f"{key}={value}"
        for key in NOTED
        if len(value := os.environ.get(key, "")) <= NOTE_LONGEST and value.isprintable()
    )
    raw.own_path = lines(OWN_PATHS)
    status = -lib.otrace_record_start(raw)
    if status != 0:
        cause = _CAUSES.get(status, os.strerror(status))
        raise RecorderError(f"cannot record into {folder}: {cause}")


def stop() -> None:
    """Stop recording and close the segment. Raises RecorderError when none runs."""
    if lib.otrace_record_stop() != 0:
        raise RecorderError("cannot stop: no recording runs in this process")


def publish(namespace: dict[str, object], decorate: "Callable[..., object]") -> None:
    """Put the C callables (log_event and its kin) into `namespace`."""
    if lib.otrace_record_publish(id(namespace), id(decorate)) != 0:
        raise ImportError("otrace: the compiled module could not set up its callables")
