"""The normal form from OTLP spans in JSON: Jaeger's `/api/v3/traces`, or a captured request.

The tree comes from the spans' own parent references. A span with `thread.id` whose parent has
another one, or none, is a thread's; below it the calls are nested. Every child has to lie within
its parent's time, and every parent has to exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .compare import Call, Track

ERROR = ("STATUS_CODE_ERROR", 2)


def spans(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every span of a document, which may be wrapped in Jaeger's `result`."""
    for resource in document.get("result", document)["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            yield from scope["spans"]


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """Plain values of a span's, event's or resource's attributes."""
    return {entry["key"]: _plain(entry["value"]) for entry in holder.get("attributes", ())}


def _plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [_plain(entry) for entry in content.get("values", ())]
    return content


def load(document: dict[str, Any]) -> list[Track]:
    """A track for each thread's span, in order of start; its name is the span's `thread.name`."""
    by_id = {span["spanId"]: span for span in spans(document)}
    children: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for span in by_id.values():
        parent = span.get("parentSpanId") or None
        if parent is not None and parent in by_id:
            _check_inside(span, by_id[parent])
        children[parent if parent in by_id else None].append(span)
    for found in children.values():
        found.sort(key=lambda span: (_start(span), -_end(span)))
    (root,) = children[None]
    return [
        Track(attributes(thread).get("thread.name"), list(_calls(children, thread)))
        for thread in children[root["spanId"]]
    ]


def _calls(
    children: dict[str | None, list[dict[str, Any]]], thread: dict[str, Any]
) -> Iterator[Call]:
    waiting = [(child, 0) for child in reversed(children[thread["spanId"]])]
    while waiting:
        span, depth = waiting.pop()
        yield _call(depth, span)
        waiting += [(child, depth + 1) for child in reversed(children[span["spanId"]])]


def _call(depth: int, span: dict[str, Any]) -> Call:
    facts = attributes(span)
    exceptions = [e for e in span.get("events", ()) if e["name"] == "exception"]
    raised = attributes(exceptions[-1]).get("exception.type") if exceptions else None
    return Call(
        depth,
        span["name"],
        "python" if "code.file.path" in facts else "c",
        "unwind" if exceptions else "return",
        raised,
        facts.get("code.file.path"),
        facts.get("code.line.number"),
    )


def is_error(span: dict[str, Any]) -> bool:
    return span.get("status", {}).get("code") in ERROR


def _start(span: dict[str, Any]) -> int:
    return int(span["startTimeUnixNano"])


def _end(span: dict[str, Any]) -> int:
    return int(span["endTimeUnixNano"])


def _check_inside(span: dict[str, Any], parent: dict[str, Any]) -> None:
    inside = _start(parent) <= _start(span) <= _end(span) <= _end(parent)
    assert inside, f"{span['name']} does not lie inside its parent {parent['name']}"
