"""The callables on the program's hot path. They are made in C: see native/python/events.c."""

from otrace import _lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Literal, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

    class Event:
        """A span with a body: a context manager, or a decorator of a function."""

        def __enter__(self) -> "Event":
            """Begin the span."""

        def __exit__(
            self,
            kind: type[BaseException] | None,
            value: BaseException | None,
            trace: TracebackType | None,
        ) -> Literal[False]:
            """End the span; an exception is recorded and passes on."""

        def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
            """`function` with this span around each of its calls."""

        def set(self, attributes: Mapping[str, object] | None = None, /, **more: object) -> None:
            """Add attributes to the span while its body runs."""

        def _again(self) -> "Event":
            """A new event of the same name and attributes."""

    def log_event(
        name: str, attributes: Mapping[str, object] | None = None, /, **more: object
    ) -> Event:
        """A span around a with statement's body, or a decorator of a function."""

    def log_instant(
        name: str,
        attributes: Mapping[str, object] | None = None,
        /,
        *,
        scope: Literal["thread", "process", "global"] = "thread",
        **more: object,
    ) -> None:
        """A marker at this moment."""

    def log_counter(
        name: str, attributes: Mapping[str, float] | None = None, /, **more: float
    ) -> None:
        """Numbers at this moment, one series for each attribute."""

    def pause_thread() -> None:
        """Record nothing more on this thread until the matching resume_thread."""

    def resume_thread() -> None:
        """Record on this thread again."""

    def note_span(span_id: int, trace_id_high: int, trace_id_low: int) -> None:
        """A span of OpenTelemetry's starts here."""

    def note_span_end(
        span_id: int,
        trace_id_high: int,
        trace_id_low: int,
        parent_id: int,
        started_ns_ago: int,
        ended_ns_ago: int,
        flags: int,
        name: str,
        attributes: Mapping[str, object] | None,
        /,
    ) -> None:
        """A span of OpenTelemetry's has ended. `flags`: enum otrace_span_flag of format.h."""

    def watch_context(variable: object, key: object) -> bool:
        """Note which span is current: under `key` in the dict that a context variable holds.

        False, and nothing is noted any more, when `variable` is no context variable.
        """

    def changes_context(function: Callable[..., R]) -> Callable[..., R]:
        """`function`, after which the current span is looked up again."""


def _decorate(event: "Event", function: object) -> object:
    """What C calls where an event is used as a decorator."""
    from otrace.instrument import decorate

    return decorate(event, function)


_lib.publish(globals(), _decorate)
