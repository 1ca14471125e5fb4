"""Marks in the program: decorators around functions of every kind, and pauses.

Frames of this package are never recorded, so a decorated function shows the event and itself.
"""

from otrace._events import Event, log_event, pause_thread, resume_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any, Protocol, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

    class _Trace(Protocol):
        @overload
        def __call__(self, function: F, /) -> F: ...
        @overload
        def __call__(
            self, name: str | None = None, /, **attributes: object
        ) -> Callable[[F], F]: ...


_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


class pause:  # noqa: N801 - used like a function: with otrace.pause(): ...
    """Record nothing on the calling thread inside the body; other threads go on."""

    def __enter__(self) -> None:
        pause_thread()

    def __exit__(self, *_: object) -> None:
        resume_thread()


def _trace(function: "Any" = None, /, **attributes: object) -> "Any":
    """Record a function's calls as events under its qualified name, whatever the filters say.

    `@otrace.trace`, `@otrace.trace("name")` or `@otrace.trace(key=value)`; on functions, methods,
    generators, `async def` and async generators, for which the event lasts as long as one run of
    the whole. Raises TypeError for anything else.
    """
    if function is None or isinstance(function, str):
        name = function

        def with_attributes(target: "Any") -> "Any":
            return decorate(log_event(name or _name_of(target), attributes), target)

        return with_attributes
    return decorate(log_event(_name_of(function)), function)


_trace.__name__ = _trace.__qualname__ = "trace"
trace: "_Trace" = _trace


def _name_of(function: "Any") -> str:
    target = getattr(function, "__func__", function)
    try:
        return f"{target.__module__}.{target.__qualname__}"
    except AttributeError:
        raise TypeError(f"{function!r} is not a function: otrace.trace cannot name it") from None


def decorate(event: "Event", function: "Any") -> "Any":
    """`function` with `event` around each of its calls. Raises TypeError for other objects."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(decorate(event, function.__func__))
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"{function!r} is not a function: an event cannot decorate it")
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _CO_COROUTINE:
        wrapper = _around_coroutine(event, function)
    elif flags & _CO_ASYNC_GENERATOR:
        wrapper = _around_async_generator(event, function)
    elif flags & _CO_GENERATOR:
        wrapper = _around_generator(event, function)
    else:
        wrapper = _around_function(event, function)
    from functools import update_wrapper

    return update_wrapper(wrapper, function)


def _around_function(event: "Event", function: "Any") -> "Callable[..., object]":
    def wrapper(*args: object, **kwargs: object) -> object:
        with event._again():
            return function(*args, **kwargs)

    return wrapper


def _around_coroutine(event: "Event", function: "Any") -> "Callable[..., object]":
    async def wrapper(*args: object, **kwargs: object) -> object:
        with event._again():
            return await function(*args, **kwargs)

    return wrapper


def _around_generator(event: "Event", function: "Any") -> "Callable[..., object]":
    def wrapper(*args: object, **kwargs: object) -> "Generator[object, object, object]":
        with event._again():
            return (yield from function(*args, **kwargs))

    return wrapper


def _around_async_generator(event: "Event", function: "Any") -> "Callable[..., object]":
    async def wrapper(*args: object, **kwargs: object) -> "AsyncGenerator[object, object]":
        with event._again():
            inner = function(*args, **kwargs)
            step = inner.__anext__()
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:
                    step = inner.athrow(error)
                else:
                    step = inner.asend(sent)

    return wrapper
