"""Counters as plots: SVG that stands in the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otrace_exporters.flamegraph.document import escape
from otrace_exporters.flamegraph.facts import duration

if TYPE_CHECKING:
    from otrace.recording import Recording

WIDTH, HEIGHT = 1000, 96
MOST_POINTS = 500  # of a line: a plot is not wider
MOST_PLOTS = 60
COLOURS = 6
Point = tuple[int, float]


@dataclass
class Counter:
    """A counter of a process, with its series."""

    process: str
    name: str
    series: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))


def counters_of(recording: Recording) -> list[Counter]:
    """The counters of all processes; tracks without any are not read."""
    found: dict[tuple[int, str], Counter] = {}
    for number, process in enumerate(recording.processes):
        label = f"{process.name} (pid {process.pid})" if len(recording.processes) > 1 else ""
        for track in process.tracks:
            if not track.summary().counters:
                continue
            for batch in track.batches():
                for mark in batch.marks:
                    if mark.kind != "counter":
                        continue
                    counter = found.setdefault((number, mark.name), Counter(label, mark.name))
                    for key, value in mark.attributes.items():
                        if isinstance(value, (int, float)):
                            counter.series[key].append((mark.time_ns, float(value)))
    for counter in found.values():
        for points in counter.series.values():
            points.sort()
    return [counter for counter in found.values() if counter.series]


def plots(counters: Sequence[Counter], end_ns: int) -> str:
    """A figure for each counter, as HTML."""
    shown = "".join(plot(counter, end_ns) for counter in counters[:MOST_PLOTS])
    more = len(counters) - MOST_PLOTS
    return (
        shown if more <= 0 else f'{shown}<p class="quiet">{more:,} more counters are left out.</p>'
    )


def plot(counter: Counter, end_ns: int) -> str:
    """One counter: its lines from the start to the end of the recording."""
    values = [value for points in counter.series.values() for _, value in points]
    low, high = min(0.0, *values), max(values)
    if high == low:
        high = low + 1
    lines = []
    labels = []
    for number, (key, points) in enumerate(counter.series.items()):
        kind = f"series-{number % COLOURS}"
        path = path_of(thinned(points, end_ns), end_ns, low, high)
        lines.append(f'<path class="{kind}" d="{path}"/>')
        last = points[-1][1]
        labels.append(f'<span class="{kind}">{escape(key)} <b>{number_text(last)}</b></span>')
    title = escape(counter.name)
    where = f' <span class="quiet">{escape(counter.process)}</span>' if counter.process else ""
    return (
        f'<figure class="plot"><figcaption><strong>{title}</strong>{where}'
        f'<span class="series">{"".join(labels)}</span></figcaption>'
        f'<div class="axes"><span class="high">{number_text(high)}</span>'
        f'<span class="low">{number_text(low)}</span>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{title}: from {number_text(min(values))} to {number_text(max(values))}">'
        f"{''.join(lines)}</svg></div>"
        f'<div class="times"><span>0</span><span>{duration(end_ns)}</span></div></figure>'
    )


def path_of(points: Sequence[Point], end_ns: int, low: float, high: float) -> str:
    """Steps: a counter keeps its value until it changes."""

    def y(value: float) -> float:
        return 2 + (HEIGHT - 4) * (1 - (value - low) / (high - low))

    scale = WIDTH / max(end_ns, 1)
    parts = [f"M{points[0][0] * scale:.1f} {y(points[0][1]):.1f}"]
    parts += [f"H{time * scale:.1f}V{y(value):.1f}" for time, value in points[1:]]
    return "".join(parts) + f"H{WIDTH}"


def thinned(points: Sequence[Point], end_ns: int) -> list[Point]:
    """At most about MOST_POINTS: of each stretch of time the first, lowest, highest and last."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretch = max(end_ns * 4 // MOST_POINTS, 1)
    return [point for part in stretches(points, stretch) for point in extremes(part)]


def stretches(points: Sequence[Point], length: int) -> Iterator[list[Point]]:
    """The points of each stretch of time that has any."""
    part: list[Point] = []
    for point in points:
        if part and point[0] // length != part[0][0] // length:
            yield part
            part = []
        part.append(point)
    yield part


def extremes(part: Sequence[Point]) -> list[Point]:
    """The first, lowest, highest and last point, in order of time."""
    by_value = [value for _, value in part]
    chosen = {0, by_value.index(min(by_value)), by_value.index(max(by_value)), len(part) - 1}
    return [part[index] for index in sorted(chosen)]


def number_text(value: float) -> str:
    """A number with at most four digits behind the point."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}"
