"""Requests of a bounded size."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otrace_exporters.otlp import resource
from otrace_exporters.otlp.batches import Batch, Spans, pack
from otrace_exporters.otlp.spans import OwnSpan, Trace

TRACE = Trace(bytes(range(16)))
SCOPE = resource.encode_scope("1.0")


def spans(process: str, *sizes: int) -> Spans:
    head, scope = resource.encode_header(resource.encode({"process": process}), SCOPE)
    data = b"".join(
        OwnSpan("x" * size, b"12345678", b"", number, number, {}).encode(TRACE)
        for number, size in enumerate(sizes)
    )
    return Spans(head, scope, data, len(sizes))


def names(batch: Batch) -> list[tuple[str, int]]:
    """(process, length of the name) of every span, as protobuf decodes the request."""
    request = ExportTraceServiceRequest.FromString(batch.encode())
    found = []
    for part in request.resource_spans:
        process = part.resource.attributes[0].value.string_value
        for scope in part.scope_spans:
            assert (scope.scope.name, scope.scope.version) == ("otrace", "1.0")
            found += [(process, len(span.name)) for span in scope.spans]
    return found


def test_parts_are_packed_in_order() -> None:
    parts = [spans("a", 50, 60), spans("a", 70), spans("b", 80)]
    batches = list(pack(parts, target=10_000))
    assert len(batches) == 1
    assert names(batches[0]) == [("a", 50), ("a", 60), ("a", 70), ("b", 80)]
    request = ExportTraceServiceRequest.FromString(batches[0].encode())
    assert len(request.resource_spans) == 2  # one for each process


def test_a_full_batch_is_given_away() -> None:
    parts = [spans("a", 100, 100) for _ in range(10)]
    batches = list(pack(parts, target=500))
    assert len(batches) == 5
    assert sum(batch.count for batch in batches) == 20


@pytest.mark.parametrize(
    "sizes",
    [
        [(10, 10)],
        [(10,), (10,)],
        [(10, 2000)],
        [(2000, 10)],
        [(10,), (2000,)],
        [(2000,), (10,)],
        [(10, 10, 10), (10,), (10, 10)],
        [(1, 2, 3, 4, 5, 6, 7, 8, 9)],
    ],
)
def test_halves_hold_all_spans(sizes: list[tuple[int, ...]]) -> None:
    batch = Batch([spans(f"p{index}", *found) for index, found in enumerate(sizes)])
    halves = batch.split()
    assert halves is not None
    assert all(half.count > 0 for half in halves)
    assert names(halves[0]) + names(halves[1]) == names(batch)
    assert sum(half.count for half in halves) == batch.count


def test_a_single_span_cannot_be_split() -> None:
    assert Batch([spans("a", 1000)]).split() is None


def test_splitting_ends_in_single_spans() -> None:
    waiting, single = [Batch([spans("a", *range(1, 40)), spans("b", 7)])], 0
    while waiting:
        batch = waiting.pop()
        halves = batch.split()
        if halves is None:
            single += 1
        else:
            waiting += halves
    assert single == 40
