"""The report's sections, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from otrace_exporters.flamegraph.document import escape
from otrace_exporters.flamegraph.facts import duration, plural

if TYPE_CHECKING:
    from otrace.profile import FunctionProfile, Profile, SlowCall
    from otrace.recording import Process, Recording, Track

MOST_FUNCTIONS = 50
MOST_EXCEPTIONS = 50
MOST_TRACKS = 200
DEEPEST_STACK = 60
"""Frames of a stack that are shown: beyond, those in the middle are left out."""


def tiles(recording: Recording, profile: Profile) -> str:
    """The figures at the top."""
    raised = sum(count.count for count in profile.exceptions)
    lost = sum(process.losses.calls for process in recording.processes)
    values = [
        ("Wall time", duration(recording.duration_ns)),
        ("Calls", f"{profile.calls:,}"),
        ("Functions", f"{len(called(profile)):,}"),
        ("Processes", f"{len(recording.processes):,}"),
        ("Threads", f"{len(profile.roots):,}"),
        ("Left by an exception", f"{raised:,}"),
    ]
    if lost:
        values.append(("Calls lost", f"{lost:,}"))
    items = "".join(f"<div><dt>{word}</dt><dd>{value}</dd></div>" for word, value in values)
    return f'<dl class="tiles">{items}</dl>'


def functions(profile: Profile) -> str:
    """The functions with the most self time, and those with the most total time."""
    everything = called(profile)
    by_self = sorted(everything, key=lambda f: (-f.self_ns, f.name))[:MOST_FUNCTIONS]
    by_total = sorted(everything, key=lambda f: (-f.total_ns, f.name))[:MOST_FUNCTIONS]
    shown = list({function.index: function for function in (*by_self, *by_total)}.values())
    most = max((function.self_ns for function in shown), default=0)
    rows = "".join(function_row(function, most) for function in shown)
    heads = head_row(
        [
            ("name", "Function", ""),
            ("self", "Self", "number"),
            ("total", "Total", "number"),
            ("calls", "Calls", "number"),
            ("mean", "Mean", "number"),
            ("p95", "95 %", "number"),
            ("max", "Max", "number"),
        ]
    )
    table = f'<table id="functions">{heads}<tbody>{rows}</tbody></table>'
    total = len(everything)
    note = "" if total <= len(shown) else f" The {len(shown)} at the top of {total:,}."
    return (
        f'<p class="quiet">Self time is what a function spent outside of the functions it called.'
        f"{note}</p>{scrolling(table)}"
    )


def called(profile: Profile) -> list[FunctionProfile]:
    """The functions that ran: names of exceptions and the like are left out."""
    return [function for function in profile.functions if function.runs]


def function_row(function: FunctionProfile, most: int) -> str:
    """A row of the table of functions; values for sorting beside the words."""
    share = round(100 * function.self_ns / most) if most else 0
    cells = [
        (function.self_ns, duration(function.self_ns)),
        (function.total_ns, duration(function.total_ns)),
        (function.calls, f"{function.calls:,}"),
        (function.mean_ns, duration(round(function.mean_ns))),
        (p95 := function.quantile(0.95), duration(round(p95))),
        (function.max_ns, duration(function.max_ns)),
    ]
    numbers = "".join(
        f'<td class="number" data-value="{value}">{text}</td>' for value, text in cells
    )
    return (
        f'<tr><td class="name">{escape(function.name)}{where(function)}'
        f'<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{share}" height="4"/></svg></td>{numbers}</tr>'
    )


def where(function: FunctionProfile) -> str:
    """File and line, which the page's script turns into a link."""
    if not function.file:
        return ""
    return (
        f'<span class="where mono" data-file="{escape(function.file)}" '
        f'data-line="{function.line}">{escape(function.file)}:{function.line}</span>'
    )


def slowest(profile: Profile) -> str:
    """The slowest calls, each with its stack."""
    if not profile.slowest:
        return '<p class="quiet">There are none.</p>'
    items = "".join(slow_call(profile, call) for call in profile.slowest)
    return f'<ol class="slowest">{items}</ol>'


def slow_call(profile: Profile, call: SlowCall) -> str:
    """One of the slowest calls; opening it shows the stack."""
    function = profile.functions[call.function]
    tree = profile.tree
    frames = [profile.functions[tree.function[node]] for node in tree.path(call.node)]
    raised = f' <span class="bad">{escape(call.exception)}</span>' if call.exception else ""
    thread = f"{call.track.process.name} / {call.track.name}"
    return (
        f"<li><details><summary><b>{duration(call.duration_ns)}</b> "
        f'<span class="name">{escape(function.name)}</span>{raised} '
        f'<span class="quiet">at {duration(call.start_ns)} in {escape(thread)}</span></summary>'
        f"<ol>{stack(frames)}</ol></details></li>"
    )


def stack(frames: Sequence[FunctionProfile]) -> str:
    """Frames, the outermost first; the middle of a deep stack is left out."""
    half = DEEPEST_STACK // 2
    if len(frames) <= DEEPEST_STACK:
        return "".join(map(frame, frames))
    left_out = len(frames) - 2 * half
    middle = f'<li class="quiet">{plural(left_out, "frame")} between</li>'
    return "".join(map(frame, frames[:half])) + middle + "".join(map(frame, frames[-half:]))


def frame(function: FunctionProfile) -> str:
    """A frame of a stack."""
    return f"<li>{escape(function.name)}{where(function)}</li>"


def exceptions(profile: Profile) -> str:
    """Which functions were left by which exceptions, the most frequent first."""
    counts = sorted(profile.exceptions, key=lambda found: -found.count)
    if not counts:
        return '<p class="quiet">No recorded function was left by an exception.</p>'
    rows = []
    for found in counts[:MOST_EXCEPTIONS]:
        function = profile.functions[found.function]
        kind = escape(found.type or "(not known)")
        rows.append(
            f'<tr><td>{kind}</td><td class="name">{escape(function.name)}{where(function)}</td>'
            f'<td class="number">{found.count:,}</td></tr>'
        )
    more = len(counts) - MOST_EXCEPTIONS
    note = f'<p class="quiet">{more:,} more are left out.</p>' if more > 0 else ""
    head = (
        '<thead><tr><th scope="col">Type</th><th scope="col">Left by it</th>'
        '<th scope="col" class="number">Times</th></tr></thead>'
    )
    return scrolling(f"<table>{head}<tbody>{''.join(rows)}</tbody></table>") + note


def timeline(recording: Recording) -> str:
    """Threads over time: a bar from the first to the last thing that each did."""
    end = max(recording.duration_ns, 1)
    alone = len(recording.processes) == 1
    rows = [
        timeline_row(process, track, end, alone=alone)
        for process in recording.processes
        for track in process.tracks
        if track.summary().first_ns is not None
    ]
    if not rows:
        return '<p class="quiet">No thread recorded anything.</p>'
    more = len(rows) - MOST_TRACKS
    note = f'<p class="quiet">{more:,} more threads are left out.</p>' if more > 0 else ""
    return (
        f'<div class="timeline" role="table" aria-label="Threads over time">'
        f"{''.join(rows[:MOST_TRACKS])}"
        f'<div class="times"><span>0</span><span>{duration(end // 2)}</span>'
        f"<span>{duration(end)}</span></div></div>{note}"
    )


def timeline_row(process: Process, track: Track, end: int, *, alone: bool) -> str:
    """A thread's bar; `alone`: there is no other process."""
    summary = track.summary()
    first, last = summary.first_ns or 0, summary.last_ns or 0
    left = 1000 * first / end
    width = max(1000 * (last - first) / end, 2)
    name = f"{process.name} (pid {process.pid}) / {track.name}"
    words = f"{plural(summary.calls, 'call')}, {duration(last - first)}"
    return (
        f'<div role="row"><span role="rowheader" title="{escape(name)}">'
        f"{escape(track.name if alone else name)}</span>"
        f'<svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="{left:.1f}" width="{width:.1f}" height="10" rx="2"/></svg>'
        f'<span role="cell" class="quiet number">{words}</span></div>'
    )


def losses(recording: Recording, notes: Iterable[str]) -> str:
    """What is missing."""
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    if not lines:
        return '<p class="quiet">Nothing is missing: every call that was made is counted.</p>'
    rows = "".join(
        f"<tr><td>{escape(process.name)} (pid {process.pid})</td><td>{escape(track.name)}</td>"
        f'<td class="number">{track.loss.calls:,}</td>'
        f'<td class="number">{duration(track.loss.start_ns)} to {duration(track.loss.end_ns)}</td>'
        "</tr>"
        for process in recording.processes
        for track in process.tracks
        if track.loss is not None and track.loss.calls
    )
    head = (
        '<thead><tr><th scope="col">Process</th><th scope="col">Thread</th>'
        '<th scope="col" class="number">Calls lost</th><th scope="col" class="number">When</th>'
        "</tr></thead>"
    )
    table = scrolling(f"<table>{head}<tbody>{rows}</tbody></table>") if rows else ""
    return f'<ul class="losses">{lines}</ul>{table}'


def head_row(columns: Sequence[tuple[str, str, str]]) -> str:
    """The head of a table that can be sorted: (key, words, class)."""
    cells = "".join(
        f'<th scope="col" data-sort="{key}" class="{kind}">'
        f'<button type="button">{words}</button></th>'
        for key, words, kind in columns
    )
    return f"<thead><tr>{cells}</tr></thead>"


def scrolling(table: str) -> str:
    """A table that scrolls by itself where the window is too narrow for it."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Table">{table}</div>'
