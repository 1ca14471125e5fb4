"""The reference tracer: slow, obvious, and free of any otrace code.

    python tests/oracle/reference.py OUT.json [--no-c-calls] [-m MODULE | SCRIPT] ARG...

It runs the program as `__main__` in this process and writes every call it saw to OUT.json:

    {"version": "3.13.0",
     "functions": [[name, kind, file, line], ...],         kind is "python" or "c"
     "threads": [{"name": str | null, "calls": [[depth, function, ended, exception], ...]}, ...]}

`calls` is in order of start, `function` an index into `functions`, `ended` one of "return",
"yield", "unwind" or "open" (still running when the program was over), `exception` the type's name
of an unwound call. `file` and `line` of a C callable are null. The main thread is first and starts
with the program's own `<module>`; other threads follow in the order of their first event.

Events come from `sys.monitoring` with Python callbacks on 3.12 and later, and on 3.11 from
`sys.setprofile`, helped by `sys.settrace` for the exceptions that the profile hook hides.

This file imports only what every interpreter has loaded at start-up, so that the program's own
imports run as they would without it.
"""

import builtins
import os
import sys
from _thread import _local, get_ident
from _weakref import ref

# A sibling: this script's folder is sys.path[0].
import callable_names as names  # type: ignore[import-not-found,unused-ignore]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, NoReturn

    Function = tuple[str, str, str | None, int | None]
    Row = list[Any]  # [depth, function, ended, exception]

GENERATOR_FLAGS = 0x20 | 0x80 | 0x200  # generator, coroutine, async generator
RETURN_VALUE, YIELD_VALUE = 83, 86  # opcodes of 3.11, the only version where they are looked at


class Open:
    """A call that has started and not ended. Holds ids of frames, never frames."""

    __slots__ = ("at", "exception", "failed", "frame", "fresh", "row")

    def __init__(self, row: "Row", frame: int, at: int) -> None:
        self.row = row
        self.frame = frame  # id of its own frame; of the calling frame when it is a C call
        self.at = at  # the calling frame's f_lasti when it is a C call, else -1
        self.failed: Row | None = None  # the C call that just raised into this frame
        self.exception: str | None = None  # 3.11: the last exception seen in this frame
        self.fresh = False  # 3.11: nothing ran in this frame since that exception


class Track:
    """What one thread did."""

    def __init__(self, thread: "Any", recording: bool) -> None:
        # A weak reference: the end of the Thread object runs code that belongs to the trace.
        self.thread = None if thread is None else ref(thread)
        self.name: str | None = None
        self.recording = recording
        self.rows: list[Row] = []
        self.stack: list[Open] = []


class Tracer:
    """Turns the interpreter's events into rows; the two hooks below feed it."""

    def __init__(self, c_calls: bool) -> None:
        self.c_calls = c_calls
        self.program: CodeType | None = None
        self.functions: dict[Function, int] = {}
        self.codes: dict[int, tuple[CodeType, int, bytes]] = {}
        self.tracks: list[Track] = []
        self.local = _local()
        self.main = get_ident()

    # -- the state of a thread

    def track(self, frame: "FrameType") -> Track:
        try:
            return self.local.track  # type: ignore[no-any-return]
        except AttributeError:
            is_main = get_ident() == self.main
            track = Track(None if is_main else thread_of(frame), recording=not is_main)
            self.local.track = track
            self.tracks.append(track)
            return track

    def function(self, function: "Function") -> int:
        return self.functions.setdefault(function, len(self.functions))

    def code(self, code: "CodeType", frame: "FrameType") -> "tuple[CodeType, int, bytes]":
        """Name a code object at first sight. Keyed by id: code objects compare by value."""
        known = self.codes.get(id(code))
        if known is None:
            name = names.of_code(code, frame.f_globals)
            index = self.function((name, "python", code.co_filename, code.co_firstlineno))
            known = self.codes[id(code)] = (code, index, code.co_code)
        return known

    # -- begin and end

    def push(self, track: Track, function: int, frame: int, at: int) -> None:
        row: Row = [len(track.stack), function, "open", None]
        track.rows.append(row)
        track.stack.append(Open(row, frame, at))

    def pop(self, track: Track, ended: str, exception: "str | None" = None) -> None:
        row = track.stack.pop().row
        row[2], row[3] = ended, exception
        self.look_up_name(track)

    def look_up_name(self, track: Track) -> None:
        """Keep the last name that the thread was seen with."""
        thread = None if track.thread is None else track.thread()
        if thread is not None:
            track.name = thread.name

    def settle(self, track: Track, frame: "FrameType | None") -> None:
        """Close the C calls of this frame that ended without the interpreter saying so."""
        stack = track.stack
        while stack and stack[-1].at >= 0 and stack[-1].frame == id(frame):
            self.pop(track, "return")

    def begin(self, code: "CodeType", frame: "FrameType") -> None:
        track = self.track(frame)
        if not track.recording:
            if code is not self.program:
                return
            track.recording = True
        # The caller has moved on from the C call that is still open: it is over.
        caller = frame.f_back
        if track.stack and caller is not None and track.stack[-1].at not in (-1, caller.f_lasti):
            self.settle(track, caller)
        self.push(track, self.code(code, frame)[1], id(frame), -1)

    def end(self, frame: "FrameType", ended: str, exception: "str | None" = None) -> None:
        track = self.track(frame)
        if not any(call.frame == id(frame) and call.at < 0 for call in reversed(track.stack)):
            return  # it began before the recording
        while track.stack[-1].frame != id(frame) or track.stack[-1].at >= 0:
            self.pop(track, "return")
        self.pop(track, ended, exception)
        if not track.stack and get_ident() == self.main:
            track.recording = False  # the program's <module> is over

    def c_begin(self, callable_: object, frame: "FrameType") -> None:
        track = self.track(frame)
        if not track.recording:
            return
        self.settle(track, frame)
        name = names.of_callable(callable_)
        if name is not None:
            self.push(track, self.function((name, "c", None, None)), id(frame), frame.f_lasti)

    def c_end(self, callable_: object, frame: "FrameType", ended: str) -> None:
        track = self.track(frame)
        top = track.stack[-1] if track.stack else None
        if top is None or top.at < 0 or top.frame != id(frame):
            return  # a Python function, or a call that began before the recording
        self.pop(track, ended)
        if ended == "unwind" and track.stack:
            track.stack[-1].failed = top.row

    def raised(self, frame: "FrameType", exception: "str") -> None:
        """An exception appeared in this frame: it names the one of the C call that raised it."""
        track = self.track(frame)
        top = track.stack[-1] if track.stack else None
        if top is not None and top.at == frame.f_lasti and top.frame == id(frame):
            self.pop(track, "unwind", exception)  # a C call whose end went unreported
        self.settle(track, frame)
        top = track.stack[-1] if track.stack else None
        if top is None or top.frame != id(frame):
            return
        if top.failed is not None:
            top.failed[3], top.failed = exception, None
        top.exception, top.fresh = exception, True


def thread_of(frame: "FrameType") -> "Any":
    """The Thread object whose first event this is, or None for a bare `_thread` thread."""
    if frame.f_code.co_qualname == "Thread._bootstrap":
        return frame.f_locals["self"]
    threading = sys.modules.get("threading")
    return threading._active.get(get_ident()) if threading else None


class MonitoringHook:
    """3.12 and later."""

    TOOL = 4

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def start(self) -> None:
        monitoring, events = sys.monitoring, sys.monitoring.events
        callbacks: dict[int, Any] = {
            events.PY_START: self.begin,
            events.PY_RESUME: self.begin,
            events.PY_THROW: self.throw,
            events.PY_RETURN: self.ret,
            events.PY_YIELD: self.yields,
            events.PY_UNWIND: self.unwind,
            events.RAISE: self.raises,
            events.RERAISE: self.raises,
        }
        if self.tracer.c_calls:
            callbacks[events.CALL] = self.call
            callbacks[events.C_RETURN] = self.c_return
            callbacks[events.C_RAISE] = self.c_raise
        monitoring.use_tool_id(self.TOOL, "reference")
        wanted = 0
        for event, callback in callbacks.items():
            monitoring.register_callback(self.TOOL, event, callback)
            # C_RETURN and C_RAISE come with CALL and cannot be asked for alone.
            wanted |= 0 if event in (events.C_RETURN, events.C_RAISE) else event
        monitoring.set_events(self.TOOL, wanted)

    def stop(self) -> None:
        sys.monitoring.set_events(self.TOOL, 0)
        sys.monitoring.free_tool_id(self.TOOL)

    def begin(self, code: "CodeType", offset: int) -> None:
        self.tracer.begin(code, sys._getframe(1))

    def throw(self, code: "CodeType", offset: int, exception: BaseException) -> None:
        self.tracer.begin(code, sys._getframe(1))

    def ret(self, code: "CodeType", offset: int, value: object) -> None:
        self.tracer.end(sys._getframe(1), "return")

    def yields(self, code: "CodeType", offset: int, value: object) -> None:
        self.tracer.end(sys._getframe(1), "yield")

    def unwind(self, code: "CodeType", offset: int, exception: BaseException) -> None:
        self.tracer.end(sys._getframe(1), "unwind", names.of_type(type(exception)))

    def raises(self, code: "CodeType", offset: int, exception: BaseException) -> None:
        self.tracer.raised(sys._getframe(1), names.of_type(type(exception)))

    def call(self, code: "CodeType", offset: int, callable_: object, first: object) -> None:
        self.tracer.c_begin(callable_, sys._getframe(1))

    def c_return(self, code: "CodeType", offset: int, callable_: object, first: object) -> None:
        self.tracer.c_end(callable_, sys._getframe(1), "return")

    def c_raise(self, code: "CodeType", offset: int, callable_: object, first: object) -> None:
        self.tracer.c_end(callable_, sys._getframe(1), "unwind")


class ProfileHook:
    """3.11. The profile hook gives the calls; the trace hook says what was raised where."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.threads_followed = False

    def start(self) -> None:
        sys.settrace(self.on_trace)
        sys.setprofile(self.on_profile)

    def stop(self) -> None:
        sys.setprofile(None)
        sys.settrace(None)

    def follow_threads(self) -> None:
        """Hook the threads to come, as soon as the program has imported `threading`."""
        threading: Any = sys.modules.get("threading")
        if threading is not None and hasattr(threading, "_profile_hook"):
            threading._trace_hook = self.on_trace
            threading._profile_hook = self.on_profile
            self.threads_followed = True

    def on_profile(self, frame: "FrameType", event: str, arg: object) -> None:
        tracer = self.tracer
        if not self.threads_followed:
            self.follow_threads()
        if event == "call":
            tracer.begin(frame.f_code, frame)
        elif event == "return":
            ended, exception = self.how_ended(frame, arg)
            tracer.end(frame, ended, exception)
        elif tracer.c_calls:
            if event == "c_call":
                tracer.c_begin(arg, frame)
            else:
                tracer.c_end(arg, frame, "return" if event == "c_return" else "unwind")

    def how_ended(self, frame: "FrameType", arg: object) -> "tuple[str, str | None]":
        """Tell an exception from `return None`, which look the same to a profile function."""
        track = self.tracer.track(frame)
        top = track.stack[-1] if track.stack else None
        last = self.tracer.code(frame.f_code, frame)[2][frame.f_lasti]
        if last == RETURN_VALUE:
            return "return", None
        if last == YIELD_VALUE and not (top is not None and top.fresh):
            return "yield", None
        return "unwind", None if top is None else top.exception

    def on_trace(self, frame: "FrameType", event: str, arg: "Any") -> "Any":
        if event == "call":
            frame.f_trace_lines = False
            # Only a generator can be left by an exception while its last instruction is a yield;
            # any instruction after the exception means that it was handled.
            frame.f_trace_opcodes = bool(frame.f_code.co_flags & GENERATOR_FLAGS)
        elif event == "exception":
            kind = type(arg[1]) if isinstance(arg[1], BaseException) else arg[0]
            self.tracer.raised(frame, names.of_type(kind))
        elif event == "opcode":
            track = self.tracer.track(frame)
            if track.stack and track.stack[-1].frame == id(frame):
                track.stack[-1].fresh = False
        return self.on_trace


def load(arguments: "list[str]") -> "tuple[CodeType, dict[str, Any]]":
    """Make the program the new `__main__`, as `python SCRIPT` or `python -m MODULE` would."""
    main: Any = type(sys)("__main__")
    main.__builtins__ = builtins
    if arguments[0] == "-m":
        import runpy

        sys.path[0] = os.getcwd()
        _, main.__spec__, code = runpy._get_module_details(arguments[1])  # type: ignore[attr-defined]
        main.__package__, main.__loader__ = main.__spec__.parent, main.__spec__.loader
        main.__file__ = main.__spec__.origin
        sys.argv = [main.__file__, *arguments[2:]]
    else:
        main.__file__ = os.path.abspath(arguments[0])
        sys.path[0] = os.path.dirname(main.__file__)
        with open(main.__file__, "rb") as source:
            code = compile(source.read(), main.__file__, "exec", dont_inherit=True)
        sys.argv = arguments
    sys.modules["__main__"] = main
    return code, main.__dict__


def join_threads() -> None:
    """Wait for the threads that the interpreter would wait for at its end."""
    threading: Any = sys.modules.get("threading")
    for thread in threading.enumerate() if threading else ():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()


def write(tracer: Tracer, path: str) -> None:
    import json
    import threading

    threads = []
    tracer.tracks[0].name = threading.main_thread().name
    for track in tracer.tracks:
        tracer.look_up_name(track)
        threads.append({"name": track.name, "calls": track.rows})
    document = {
        "version": sys.version.split()[0],
        "functions": list(tracer.functions),
        "threads": threads,
    }
    with open(path, "w", encoding="ascii") as out:
        json.dump(document, out, separators=(",", ":"))


def main() -> "NoReturn":
    out, *arguments = sys.argv[1:]
    out = os.path.abspath(out)
    tracer = Tracer(c_calls="--no-c-calls" not in arguments[:1])
    code, namespace = load(arguments if tracer.c_calls else arguments[1:])
    tracer.program = code
    hook = MonitoringHook(tracer) if sys.version_info >= (3, 12) else ProfileHook(tracer)
    hook.start()
    try:
        exec(code, namespace)
    finally:
        join_threads()
        hook.stop()
        write(tracer, out)
    sys.exit(0)


if __name__ == "__main__":
    keep_globals_alive = sys.modules["__main__"]
    main()
