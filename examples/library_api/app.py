"""An importer that marks its own phases. Writes import.json and early.json into a folder."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import otrace

FILES = {
    "prices.csv": ["bolt;5", "nut;3", "plate;120"],
    "stock.csv": ["bolt;1000", "nut;none", "plate;77", "motor;4"],
}


@otrace.trace
def parse(line):
    """An event of its own in the timeline, whatever the filters say."""
    name, _, number = line.partition(";")
    return name, int(number)


@otrace.log_event("warm up", cache="names")
def warm_up():
    return sorted({line.partition(";")[0] for lines in FILES.values() for line in lines})


def load(file, lines):
    with otrace.log_event("load", {"file.name": file}, lines=len(lines)) as event:
        rows = {}
        for position, line in enumerate(lines):
            try:
                name, number = parse(line)
            except ValueError:
                otrace.log_instant("bad line", file=file, position=position)
                continue
            rows[name] = number
            otrace.log_counter("rows", good=len(rows), seen=position + 1)
        event.set(rows=len(rows))
    return rows


async def announce(file):
    with otrace.log_event("announce", file=file):
        await asyncio.sleep(0.002)  # the events of two tasks overlap; each keeps its own times


async def announce_all():
    await asyncio.gather(*(announce(file) for file in FILES))


def noisy():
    return sum(len(name) for name in warm_up() * 100)


def main(folder):
    # The suffix chooses the format. Options are those of the command line.
    with otrace.record(folder / "import.json", buffer_size="64MiB"):
        warm_up()
        for file, lines in FILES.items():
            load(file, lines)
        otrace.snapshot(folder / "early.json")  # so far; the recording goes on
        asyncio.run(announce_all())
        with otrace.pause():
            noisy()  # not recorded
    print("import.json and early.json are written")

    # A recording can also be looked at in place of being exported.
    otrace.start(c_calls=False)
    noisy()
    recording = otrace.stop()
    calls = Counter()
    for process in recording.processes:
        for track in process.tracks:
            for batch in track.batches():
                for function in batch.function:
                    calls[process.functions[function].name] += 1
    for name, count in calls.most_common(3):
        print(f"{count:6} {name}")

    otrace.log_instant("nothing records now")  # costs next to nothing, and does nothing


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
