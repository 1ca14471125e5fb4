"""The Performance panel of Chrome's DevTools takes the Chrome files, whatever events are called."""

import json
from pathlib import Path

from devtools import DevTools
from oracle.corpus import otrace_run

PROGRAM = """
import asyncio
import json
import sys

import otrace

names = json.load(open(sys.argv[1]))


async def main():
    for name in names:
        await asyncio.create_task(asyncio.sleep(0), name=name)


for name in names:
    otrace.log_instant(name, key="k")
    otrace.log_instant(name, scope="process")
    otrace.log_counter(name, depth=1)
    with otrace.log_event(name, rows=3):
        namespace = {"__name__": ""}
        if name.isidentifier():
            exec(f"def {name}(): pass", namespace)
            namespace[name]()
asyncio.run(main())
"""


def test_names_are_kept_apart_from_the_panels_own(devtools: DevTools, tmp_path: Path) -> None:
    markers = sorted(devtools.markers())
    known = {"firstPaint", "navigationStart", "Paint", "TracingStartedInBrowser"}
    assert known < set(markers)
    (tmp_path / "names.json").write_text(json.dumps(markers))
    (tmp_path / "app.py").write_text(PROGRAM)
    done = otrace_run(tmp_path, "-o", "t.json", "app.py", "names.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert devtools.parse(rows) is None
    shown = {row["name"] for row in rows}
    for kind in ("instant", "event", "counter", "task"):
        assert {f"{marker} ({kind})" for marker in known} <= shown
    assert shown.isdisjoint(known)

    raw = [{**row, "name": row["name"].partition(" (instant)")[0]} for row in rows]
    said = devtools.parse(raw)  # what the panel says without that
    assert said is not None
    assert "undefined" in said
