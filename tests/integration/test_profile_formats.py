"""Profile formats of real programs, opened by their own readers, against cProfile."""

from __future__ import annotations

import gzip
import json
import marshal
import pstats
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from integration.conftest import Otrace

PROGRAM = """\
import sys

class Node:
    def __init__(self, depth):
        self.children = [] if depth == 0 else [Node(depth - 1) for _ in range(2)]

    def total(self):
        return 1 + sum(child.total() for child in self.children)

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)

def numbers(n):
    for i in range(n):
        yield i

def fails():
    raise ValueError("no")

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def main():
    assert Node(5).total() == 63
    assert even(40)
    assert sum(numbers(20)) == 190
    assert fib(12) == 144
    assert sorted([3, 1, 2], key=lambda n: -n) == [3, 2, 1]
    text = []
    for i in range(7):
        text.append(str(len(text)))
    try:
        fails()
    except ValueError:
        pass

main()
"""
Label = tuple[str, int, str]
Stats = dict[Label, tuple[Any, ...]]


@pytest.fixture
def recorded(otrace: Otrace) -> Otrace:
    otrace.write("program.py", PROGRAM)
    otrace("run", "-q", "-o", "program.otrace", "program.py")
    return otrace


def export(otrace: Otrace, name: str) -> Path:
    otrace("export", "-q", "program.otrace", "-o", name)
    return otrace.folder / name


def of_program(stats: Stats, path: Path) -> Stats:
    """The functions of the program."""
    return {label: row for label, row in stats.items() if Path(label[0]) == path}


def counts(rows: Stats, path: Path) -> dict[Any, Any]:
    """Primitive calls and calls, also of each caller in the program."""
    return {
        label[1:]: (
            row[:2],
            {caller[1:]: edge[:2] for caller, edge in row[4].items() if Path(caller[0]) == path},
        )
        for label, row in rows.items()
    }


def test_pstats_are_cprofiles(recorded: Otrace) -> None:
    path = recorded.folder / "program.py"
    command = [sys.executable, "-m", "cProfile", "-o", "truth.pstats", str(path)]
    subprocess.run(command, cwd=recorded.folder, check=True, capture_output=True)
    truth: Stats = marshal.loads((recorded.folder / "truth.pstats").read_bytes())
    ours: Stats = marshal.loads(export(recorded, "ours.pstats").read_bytes())
    found, wanted = of_program(ours, path), of_program(truth, path)
    assert len(found) > 10
    assert counts(found, path) == counts(wanted, path)
    for name in ("<built-in method builtins.len>", "<method 'append' of 'list' objects>"):
        label = ("~", 0, name)
        calls = {key[2]: row[:2] for key, row in ours[label][4].items() if Path(key[0]) == path}
        true = {key[2]: row[:2] for key, row in truth[label][4].items() if Path(key[0]) == path}
        assert calls == true


def test_times_of_pstats_add_up(recorded: Otrace) -> None:
    ours: Stats = marshal.loads(export(recorded, "ours.pstats").read_bytes())
    for label, (primitive, calls, own, total, callers) in ours.items():
        assert 0 <= own <= total + 1e-9, label
        assert 0 < primitive <= calls
        assert sum(edge[1] for edge in callers.values()) <= calls
        assert sum(edge[2] for edge in callers.values()) <= own + 1e-9
    by_name = {label[2]: row for label, row in ours.items()}
    assert by_name["main"][3] >= by_name["fib"][3] + by_name["even"][3]
    totals = pstats.Stats(str(recorded.folder / "ours.pstats"))
    assert totals.total_calls == sum(row[1] for row in ours.values())  # type: ignore[attr-defined]


def test_pstats_opens_as_a_person_would(recorded: Otrace) -> None:
    export(recorded, "ours.pstats")
    done = subprocess.run(
        [sys.executable, "-m", "pstats", "ours.pstats"],
        cwd=recorded.folder,
        input="sort cumulative\nstats fib\ncallers even\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "465/1" in done.stdout
    assert "(odd)" in done.stdout


def stats_of(otrace: Otrace, *keys: str) -> dict[str, list[int]]:
    """By name: a class and its body have the same."""
    rows = json.loads(otrace("stats", "program.otrace", "--limit", "0", "--json").stdout)["rows"]
    found: dict[str, list[int]] = {row["name"]: [0] * len(keys) for row in rows}
    for row in rows:
        found[row["name"]] = [
            have + row[key] for have, key in zip(found[row["name"]], keys, strict=True)
        ]
    return found


def assert_same(ours: dict[str, int], wanted: dict[str, int]) -> None:
    """The same nanoseconds for each function; nothing is said of one that took none."""
    assert set(ours) <= set(wanted)
    assert {name: ours.get(name, 0) for name in wanted} == wanted


def test_folded_stacks_hold_all_time(recorded: Otrace) -> None:
    own: dict[str, int] = defaultdict(int)
    for line in export(recorded, "out.folded").read_text().splitlines():
        stack, _, value = line.rpartition(" ")
        names = stack.split(";")
        assert names[0] == "MainThread"
        own[names[-1]] += int(value)
    wanted = {name: row[0] for name, row in stats_of(recorded, "self_ns").items()}
    assert_same(own, wanted)


def test_speedscope_holds_every_call_in_its_order(recorded: Otrace) -> None:
    document = json.loads(export(recorded, "out.speedscope.json").read_bytes())
    frames = document["shared"]["frames"]
    (profile,) = document["profiles"]
    assert (profile["type"], profile["unit"]) == ("evented", "nanoseconds")
    stack: list[tuple[int, int]] = []
    total: dict[str, int] = defaultdict(int)
    runs: dict[str, int] = defaultdict(int)
    last = profile["startValue"]
    for event in profile["events"]:
        assert event["at"] >= last
        last = event["at"]
        if event["type"] == "O":
            stack.append((event["frame"], last))
            continue
        frame, start = stack.pop()
        assert frame == event["frame"]
        runs[frames[frame]["name"]] += 1
        total[frames[frame]["name"]] += last - start
    assert not stack
    assert profile["endValue"] >= last
    counted = stats_of(recorded, "runs")
    assert {name: [number] for name, number in runs.items()} == counted
    wanted = {name: row[0] for name, row in stats_of(recorded, "sum_ns").items()}
    assert_same(total, wanted)
    (fib,) = (frame for frame in frames if frame["name"] == "__main__.fib")
    assert fib == {"name": "__main__.fib", "file": str(recorded.folder / "program.py"), "line": 23}


# The fields of github.com/google/pprof/proto/profile.proto that we write.
PPROF = {
    "ValueType": [("type", 1, "int64", 0), ("unit", 2, "int64", 0)],
    "Label": [("key", 1, "int64", 0), ("str", 2, "int64", 0)],
    "Sample": [("location_id", 1, "uint64", 1), ("value", 2, "int64", 1), ("label", 3, "Label", 1)],
    "Line": [("function_id", 1, "uint64", 0), ("line", 2, "int64", 0)],
    "Location": [("id", 1, "uint64", 0), ("line", 4, "Line", 1)],
    "Function": [
        ("id", 1, "uint64", 0),
        ("name", 2, "int64", 0),
        ("system_name", 3, "int64", 0),
        ("filename", 4, "int64", 0),
        ("start_line", 5, "int64", 0),
    ],
    "Profile": [
        ("sample_type", 1, "ValueType", 1),
        ("sample", 2, "Sample", 1),
        ("location", 4, "Location", 1),
        ("function", 5, "Function", 1),
        ("string_table", 6, "string", 1),
        ("time_nanos", 9, "int64", 0),
        ("duration_nanos", 10, "int64", 0),
        ("period_type", 11, "ValueType", 0),
        ("period", 12, "int64", 0),
        ("comment", 13, "int64", 1),
        ("default_sample_type", 14, "int64", 0),
    ],
}


def pprof_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="p.proto", package="p", syntax="proto3")
    for name, fields in PPROF.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            made = message.field.add(name=field, number=number, label=3 if repeated else 1)
            scalars = {"int64": 3, "uint64": 4, "string": 9}
            made.type = scalars.get(kind, 11)  # type: ignore[assignment]
            if kind not in scalars:
                made.type_name = f".p.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Profile"))


def test_pprof_holds_all_time(recorded: Otrace) -> None:
    profile = pprof_class()()
    profile.ParseFromString(gzip.decompress(export(recorded, "out.pb.gz").read_bytes()))
    texts = profile.string_table
    assert texts[0] == ""
    types = [(texts[kind.type], texts[kind.unit]) for kind in profile.sample_type]
    assert types == [("calls", "count"), ("wall", "nanoseconds")]
    names = {function.id: texts[function.name] for function in profile.function}
    locations = {location.id: location.line[0].function_id for location in profile.location}
    own: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for sample in profile.sample:
        leaf = own[names[locations[sample.location_id[0]]]]
        for position, value in enumerate(sample.value):
            leaf[position] += value
        assert [texts[label.str] for label in sample.label] == ["MainThread"]
    calls = {name: [number] for name, (number, _) in own.items()}
    assert calls == stats_of(recorded, "calls")
    wanted = {name: row[0] for name, row in stats_of(recorded, "self_ns").items()}
    ours = {name: number for name, (_, number) in own.items()}
    assert_same(ours, wanted)
