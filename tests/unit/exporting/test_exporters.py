"""The parts of the built-in exporters that are Python: names, numbers, self-description."""

import json
import re
from types import SimpleNamespace

import pytest

from otrace_exporters import chrome
from otrace_exporters.numbers import FIRST_INVENTED, Numbers


def test_numbers_are_the_systems_where_they_are_free():
    numbers = Numbers()
    assert [numbers.take(n) for n in (7, 8, 7, 0, 7)] == [
        7,
        8,
        FIRST_INVENTED,
        FIRST_INVENTED + 1,
        FIRST_INVENTED + 2,
    ]


def test_any_name_is_valid_json():
    row = chrome.metadata("process_name", 1, 0, {"name": 'a"\\\n\x00\u2028ü\udc80'})
    text = row.decode()  # strictly UTF-8
    assert json.loads(text)["args"]["name"] == 'a"\\\n\x00\u2028ü\\udc80'
    assert "ü" in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["q\\", "\\", '"\\', "a\\\\", '\\"', "\\n", "\udc80\\", '\\"\\'])
def test_no_string_ends_in_a_backslash(name):
    """Perfetto's UI refuses a file with such a string."""
    row = chrome.metadata("thread_name", 1, 2, {"name": name, name: [name]})
    visible = name.encode("utf-8", "backslashreplace").decode()
    assert json.loads(row)["args"] == {"name": visible, visible: [visible]}
    assert not re.search(rb'\\\\"[,:}\]]', row)


class Track:
    def __init__(self, os_tid, name):
        self.os_tid = os_tid
        self.name = name


def test_processes_and_threads_that_share_numbers_stay_apart():
    """A process that called exec has its number twice, a thread may get that of an ended one."""
    first = SimpleNamespace(
        pid=5, name="one", tracks=[Track(5, "Main"), Track(9, "T"), Track(9, "U")]
    )
    second = SimpleNamespace(pid=5, name="two", tracks=[Track(5, "Main"), Track(6, "idle")])
    rows, tracks = chrome.describe(SimpleNamespace(processes=[first, second]))
    assert len({(pid, tid) for _, pid, tid in tracks}) == 5
    assert [track.name for track, _, _ in tracks] == ["Main", "T", "U", "Main", "idle"]
    decoded = [json.loads(row) for row in rows]
    names = {
        (row["pid"], row["tid"]): row["args"] for row in decoded if row["name"] == "thread_name"
    }
    assert {key: args["name"] for key, args in names.items()} == {
        (pid, tid): track.name for track, pid, tid in tracks
    }
    assert [row["args"] for row in decoded if row["name"] == "process_name"] == [
        {"name": "one"},
        {"name": "two"},
    ]
    assert rows[0].startswith(b'{"ph":"M"')
