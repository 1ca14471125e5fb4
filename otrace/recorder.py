"""Recording this process from within: start, stop, record, snapshot."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from otrace import _lib, config_sources
from otrace.bootstrap import process_name
from otrace.errors import RecorderError
from otrace.instrument import pause
from otrace.session import Session

if TYPE_CHECKING:
    from otrace.exporting import ExportResult
    from otrace.recording import Recording

_lock = threading.Lock()
_session: Session | None = None
_owner = 0  # the process that made the session's folder; forked children record into it too
_environment_before: dict[str, str | None] = {}


def start(**options: Any) -> None:
    """Record every call of this process, all its threads and the children it starts, until `stop`.

    Options are those of `otrace run`: include, exclude, exclude_functions, c_calls, stdlib,
    min_duration ("50us"), max_depth, loop_lag ("50ms"), overhead (0.05), buffer_size ("64MiB"),
    session_dir, follow. Calls that are open now are recorded from here on, marked as cut. Raises
    RecorderError when a recording runs already, ConfigError for a wrong option, SessionError when
    the folder cannot be made.
    """
    _start(options, inherited=True)


def start_here(options: Mapping[str, Any]) -> None:
    """Like `start`, without the calls that are open now: for a part of what a thread does."""
    _start(options, inherited=False)


def _start(options: Mapping[str, Any], *, inherited: bool) -> None:
    global _owner, _session
    with _lock:
        if _session is not None or _lib.Status().recording:
            raise RecorderError(
                "cannot start: a recording already runs in this process; stop it first"
            )
        if "opentelemetry.sdk.trace" in sys.modules:  # the recorder hears only of what comes later
            from otrace import spans

            spans.attach_global()
        resolved = config_sources.resolve(options)
        name = process_name(sys.orig_argv)
        session = Session.create(name, resolved)
        _session, _owner = session, os.getpid()
        if resolved.follow:
            _set_environment({"OTRACE_SESSION": session.path, **resolved.to_environment()})
        try:
            # Last, and first in _stop: what else these two do is no part of the recording.
            _lib.start(resolved, session.path, name, inherited=inherited)
        except RecorderError:
            _session = None
            _restore_environment()
            session.remove()
            raise


def stop() -> Recording:
    """Stop the recording that `start` began and return it.

    Its folder lives as long as the returned object, or until the process ends: export it before.
    Raises RecorderError when none runs.
    """
    session = _stop()
    from otrace.recording import Recording

    recording = Recording.open(session.path)
    weakref.finalize(recording, _remove_if_ours, session, _owner)
    return recording


def _remove_if_ours(session: Session, owner: int) -> None:
    """A forked child runs its parent's finalizers too: the folder is not the child's."""
    if os.getpid() == owner:
        session.remove()


def _stop() -> Session:
    global _session
    with _lock:
        if _session is None:
            raise RecorderError("cannot stop: no recording was started in this process")
        _lib.stop()
        session, _session = _session, None
        _restore_environment()
        return session


def _set_environment(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        _environment_before[name] = os.environ.get(name)
        os.environ[name] = value


def _restore_environment() -> None:
    for name, value in _environment_before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _environment_before.clear()


class record:  # noqa: N801 - used like a function: with otrace.record("t.json"): ...
    """Record the body of a with statement and export it to `target` at its end.

    The suffix of `target` chooses the exporter, or `exporter` names it. Other keywords are the
    options of `start`. The export happens also when the body raises; its exception passes on.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        exporter: str | None = None,
        **options: Any,
    ) -> None:
        self._target = None if target is None else os.fspath(target)
        self._exporter = exporter
        self._options = options
        self.result: ExportResult | None = None

    def __enter__(self) -> record:
        from otrace import exporting

        exporting.check(self._target, exporter=self._exporter)
        start(**self._options)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        recording = stop()
        self.result = _export(recording, self._target, self._exporter)


def snapshot(target: str | os.PathLike[str], *, exporter: str | None = None) -> ExportResult:
    """Export the recording so far, while it goes on. The export itself is not recorded.

    Raises RecorderError when this process does not record, ExportError when it cannot be written.
    """
    status = _lib.Status()
    if not status.recording:
        raise RecorderError("cannot take a snapshot: this process does not record")
    with pause():
        from otrace.recording import Recording

        folder = os.path.dirname(status.path)
        return _export(Recording.open(folder), os.fspath(target), exporter)


def _export(recording: Recording, target: str | None, exporter: str | None) -> ExportResult:
    from otrace import exporting

    return exporting.export(recording, target, exporter=exporter)
