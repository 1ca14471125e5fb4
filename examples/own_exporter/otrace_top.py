"""An exporter of one's own: a table of the functions that took the most time, as text.

Install it with `pip install .`, then:

    otrace run --export top app.py            writes app.top.txt
    otrace run -o hot.top.txt app.py          the suffix chooses it too
    otrace export app.otrace --to top --exporter-option top.rows=50
"""

from collections import Counter

from otrace.exporting import ExporterOption, ExportResult, check_output, open_output

OPEN = -1  # the duration of a call that had not ended when the recording did


class TopExporter:
    """Sums the own time of each function (its calls without the calls inside them)."""

    name = "top"
    suffixes = (".top.txt",)
    options = (ExporterOption("rows", int, 20, "How many functions are listed."),)

    def check(self, target, options):
        """Called before the program starts: say now what would only fail at the end."""
        check_output(target)

    def export(self, recording, target, options, progress):
        """Called after the program's end, outside it."""
        calls, own_ns = Counter(), Counter()
        tracks = [(p, track) for p in recording.processes for track in p.tracks]
        for number, (process, track) in enumerate(tracks):
            for name, duration_ns in own_times(process, track):
                calls[name] += 1
                own_ns[name] += duration_ns
            if progress is not None:
                progress((number + 1) / len(tracks))
        with open_output(target) as output:  # complete, or not there at all
            output.write(f"{'calls':>12} {'own ms':>12}  function\n".encode())
            for name, total_ns in own_ns.most_common(options["rows"]):
                row = f"{calls[name]:12} {total_ns / 1e6:12.3f}  {name}\n"
                output.write(row.encode(errors="backslashreplace"))
        return ExportResult(target, sum(calls.values()), output.written)


def own_times(process, track):
    """Yield (function's name, own time in ns) for each call of a thread that has ended.

    Calls come in the order of their ends, so the calls inside a call come before it: what they
    took is kept by their parent's ordinal until the parent comes.
    """
    inside = Counter()
    for batch in track.batches():
        columns = zip(batch.index, batch.parent, batch.function, batch.duration_ns, strict=True)
        for index, parent, function, duration_ns in columns:
            if duration_ns == OPEN:
                continue
            own_ns = duration_ns - inside.pop(index, 0)
            inside[parent] += duration_ns
            yield process.functions[function].name, own_ns
