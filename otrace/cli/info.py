"""`otrace info`: processes, threads, calls, losses, duration and sizes of a recording."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from otrace.cli import words
from otrace.session import failures

if TYPE_CHECKING:
    from otrace.recording import Process, Recording, SwitchedOff, Track

Data = dict[str, object]
OFF_SHOWN = 20

EPILOG = """\b
Examples:
  otrace info app.otrace
  otrace info app.otrace --json | jq .lost
"""


@click.command(epilog=EPILOG)
@click.argument("path", metavar="RECORDING", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def command(path: str, as_json: bool) -> None:
    """Say what is in RECORDING: processes, threads, calls, events, losses, sizes."""
    from otrace.recording import Recording

    recording = Recording.open(path)
    data = describe(recording)
    if as_json:
        import json

        click.echo(json.dumps(data, indent=2, ensure_ascii=True))
    else:
        for line in lines_of(data):
            click.echo(line)
        for warning in recording.warnings:
            words.say(warning)


def describe(recording: Recording) -> Data:
    """Everything that is shown, as JSON values; times in nanoseconds."""
    processes = [describe_process(process) for process in recording.processes]
    manifest = recording.manifest or {}

    def total(name: str) -> int:
        return sum(number(process[name]) for process in processes)

    ended = total("calls") + total("lost_calls")
    return {
        "path": recording.path,
        "program": manifest.get("program"),
        "exit": manifest.get("exit"),
        "otrace": manifest.get("otrace"),
        "start_wall_ns": recording.start_wall_ns,
        "duration_ns": recording.duration_ns,
        "calls": total("calls"),
        "events": total("events"),
        "instants": total("instants"),
        "counters": total("counters"),
        "lost": {
            "calls": total("lost_calls"),
            "records": total("lost_records"),
            "no_space": total("dropped_no_space"),
            "too_big": total("dropped_too_big"),
            "names": total("dropped_names"),
        },
        "bytes_used": total("bytes_used"),
        "record_bytes": total("record_bytes"),
        "bytes_per_call": round(total("record_bytes") / max(total("calls"), 1), 2),
        "recorded_calls": ended,
        "processes": processes,
        "not_recorded": [{"pid": pid, "why": why} for pid, why in failures(recording.path)],
        "warnings": recording.warnings,
    }


def describe_process(process: Process) -> Data:
    """One process and its threads."""
    threads = [describe_track(track) for track in process.tracks]

    def total(name: str) -> int:
        return sum(number(thread[name]) for thread in threads)

    losses = process.losses
    return {
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "name": process.name,
        "python": process.python_version,
        "state": process.state,
        "clock": process.clock,
        "start_ns": process.start_ns,
        "end_ns": process.end_ns,
        "stopped_by": os.strerror(process.stop_errno) if process.stop_errno else None,
        "calls": total("calls"),
        "events": total("events"),
        "instants": total("instants"),
        "counters": total("counters"),
        "record_bytes": total("record_bytes"),
        "bytes_used": process.sizes.bytes_used,
        "file_size": process.sizes.file_size,
        "chunks": process.sizes.chunks_readable,
        "chunk_size": process.sizes.chunk_size,
        "lost_calls": losses.calls,
        "lost_records": losses.records,
        "lost_chunks": losses.chunks,
        "dropped_no_space": losses.dropped_no_space,
        "dropped_too_big": losses.dropped_too_big,
        "dropped_names": losses.dropped_names,
        "notes": dict(process.notes),
        "switched_off": [describe_off(off, process.open_until_ns) for off in process.switched_off],
        "threads": threads,
    }


def describe_off(off: SwitchedOff, end_ns: int) -> Data:
    """A function that was switched off."""
    return {
        "function": off.function.name,
        "file": off.function.file,
        "line": off.function.line,
        "calls": off.calls,
        "times": off.times,
        "missing_ns": off.missing_ns(end_ns),
        "since_ns": off.since_ns,
        "until_ns": off.until_ns,
    }


def describe_track(track: Track) -> Data:
    """One thread."""
    summary = track.summary()
    loss = track.loss
    return {
        "id": track.id,
        "os_tid": track.os_tid,
        "name": track.name,
        "start_ns": track.start_ns,
        "end_ns": track.end_ns,
        "first_ns": summary.first_ns,
        "last_ns": summary.last_ns,
        "calls": summary.calls,
        "python_calls": summary.calls_python,
        "c_calls": summary.calls_c,
        "events": summary.events,
        "instants": summary.instants,
        "counters": summary.counters,
        "open": summary.calls_open,
        "cut": summary.calls_cut,
        "inferred": summary.calls_inferred,
        "too_short": summary.calls_short,
        "max_depth": summary.max_depth,
        "record_bytes": summary.record_bytes,
        "lost": None
        if loss is None
        else {"calls": loss.calls, "start_ns": loss.start_ns, "end_ns": loss.end_ns},
    }


def number(value: object) -> int:
    """A count that came out of the untyped values above."""
    assert isinstance(value, int)
    return value


def lines_of(data: Data) -> list[str]:
    """The same for people."""
    program = data["program"] or data["path"]
    started = time.strftime(
        "%Y-%m-%d %H:%M:%S", time.localtime(number(data["start_wall_ns"]) / 1e9)
    )
    lines = [
        f"{program}: {how_it_ended(data['exit'])}",
        f"  started    {started}, ran for {words.duration(number(data['duration_ns']))}",
        f"  calls      {counts_of(data)}",
        f"  size       {words.size(number(data['bytes_used']))}, "
        f"{data['bytes_per_call']} bytes a call",
    ]
    lost = data["lost"]
    assert isinstance(lost, dict)
    if any(lost.values()):
        lines.append(f"  lost       {losses_of(lost)}")
    processes = data["processes"]
    assert isinstance(processes, list)
    for process in processes:
        lines += process_lines(process)
    not_recorded = data["not_recorded"]
    assert isinstance(not_recorded, list)
    for process in not_recorded:
        lines.append(f"process {process['pid']}  not recorded: {printable(process['why'])}")
    return lines


def process_lines(process: Data) -> list[str]:
    """A process for people: a line, and one for each of its threads."""
    state = "" if process["state"] == "ended" else ", not ended in order"
    why = f", recording stopped: {process['stopped_by']}" if process["stopped_by"] else ""
    lines = [
        f"process {process['pid']}  {printable(process['name'])}  Python {process['python']}, "
        f"parent {process['parent_pid']}{state}{why}: {counts_of(process)}"
    ]
    switched_off = process["switched_off"]
    assert isinstance(switched_off, list)
    lines += off_lines(switched_off)
    threads = process["threads"]
    assert isinstance(threads, list)
    for thread in threads:
        extra = "".join(
            f", {thread[key]:,} {key}" for key in ("open", "cut", "inferred") if thread[key]
        )
        lines.append(
            f"  thread {thread['os_tid']}  {printable(thread['name'])}: "
            f"{counts_of(thread)}, depth {thread['max_depth']}{extra}"
        )
        if thread["lost"]:
            lost = thread["lost"]
            lines.append(
                f"    lost {words.count(lost['calls'], 'call')} "
                f"from {words.duration(lost['start_ns'])} to {words.duration(lost['end_ns'])}"
            )
    return lines


def off_lines(switched_off: list[Data]) -> list[str]:
    """What the overhead governor switched off; what was missing longest first."""
    if not switched_off:
        return []
    lines = [f"  switched off to bound the overhead: {words.count(len(switched_off), 'function')}"]
    longest = sorted(switched_off, key=lambda off: -number(off["missing_ns"]))
    for off in longest[:OFF_SHOWN]:
        still = ", at the end too" if off["until_ns"] is None else ""
        times = f", {off['times']} times" if number(off["times"]) > 1 else ""
        lines.append(
            f"    {printable(off['function'])}: {words.count(number(off['calls']), 'call')} "
            f"recorded, off for {words.duration(number(off['missing_ns']))}{times}{still}"
        )
    if len(longest) > OFF_SHOWN:
        lines.append(f"    and {len(longest) - OFF_SHOWN} more")
    return lines


def counts_of(data: Data) -> str:
    """Such as "1,234 calls, 3 events"; what is zero is left out, except calls."""
    parts = [words.count(number(data["calls"]), "call")]
    for key in ("events", "instants", "counters"):
        if data[key]:
            parts.append(words.count(number(data[key]), key.removesuffix("s")))
    return ", ".join(parts)


def losses_of(lost: dict[str, int]) -> str:
    """What is missing, by cause."""
    causes = {
        "calls": "{} overwritten when the buffer was full",
        "no_space": "{} for which there was no space",
        "too_big": "{} that were too big",
        "names": "{} that found no room",
    }
    things = {"calls": "call", "no_space": "record", "too_big": "event", "names": "name"}
    return ", ".join(
        text.format(words.count(lost[key], things[key]))
        for key, text in causes.items()
        if lost[key]
    )


def how_it_ended(ended: object) -> str:
    """From the manifest's entry."""
    if not isinstance(ended, dict):
        return "still running, or killed with its supervisor"
    if isinstance(ended.get("signal"), int):
        from otrace.supervisor import signal_name

        return f"killed by {signal_name(ended['signal'])}"
    return f"ended with status {ended.get('status')}"


def printable(name: object) -> str:
    """A name as text without control characters and lone surrogates."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
