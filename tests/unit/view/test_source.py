"""Source text in traces: which text a function has, and that nothing else of a trace changes."""

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

from otrace.view.source import MOST_CHARACTERS, MOST_LINES, add_sources, source_of

CODE = '''\
import x

@decorated
def first(a):
    """Doc."""
    return [n for n in a]

class C:
    async def method(self):
        def inner(): pass
        return "ü"

second = lambda: 1
long = 1
'''


@pytest.fixture
def code(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(CODE, encoding="utf-8")
    return str(path)


def test_the_text_of_functions(code):
    assert source_of(code, 3) == "".join(f"{line}\n" for line in CODE.splitlines()[2:6])
    assert source_of(code, 9) == "".join(f"{line}\n" for line in CODE.splitlines()[8:11])
    assert source_of(code, 10) == "        def inner(): pass\n"


@pytest.mark.parametrize("line", [0, -1, 1, 2, 14, 99])
def test_what_is_no_function_has_no_text(code, line):
    assert source_of(code, line) == ""


def test_files_that_are_not_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("def f():\n    pass\n")
    broken = tmp_path / "broken.py"
    broken.write_bytes(b"# coding: nonsense\n\xff")
    for path in (secret, broken, tmp_path, tmp_path / "missing.py", "<frozen x>", "\0.py"):
        assert source_of(str(path), 1) == ""


def test_long_functions_are_cut(tmp_path):
    long = tmp_path / "long.py"
    long.write_text("def f():\n" + "    pass\n" * 1000)
    text = source_of(str(long), 1)
    assert text.count("\n") <= MOST_LINES + 1
    assert text.endswith("\n…")
    wide = tmp_path / "wide.py"
    wide.write_text(f"def f():\n    return {'1 + ' * 5000}1\n")
    assert len(source_of(str(wide), 1)) <= MOST_CHARACTERS + 2


def test_only_locations_change(tmp_path, code):
    trace = Trace()
    for number in (1, 2, 300):
        packet = trace.packet.add(trusted_packet_sequence_id=number, timestamp=1 << 40)
        packet.track_event.track_uuid = 1 << 63
        packet.track_event.double_counter_value = 1.5
    data = trace.packet.add(trusted_packet_sequence_id=1).interned_data
    data.event_names.add(iid=1, name="b" * 300)
    data.source_locations.add(iid=1, file_name=code, line_number=3)
    data.source_locations.add(iid=2, file_name="/none.py", line_number=3)
    data.source_locations.add(iid=3)
    (tmp_path / "a").write_bytes(trace.SerializeToString())
    add_sources(str(tmp_path / "a"), str(tmp_path / "b"))
    changed = Trace.FromString((tmp_path / "b").read_bytes())
    data.source_locations[0].function_name = source_of(code, 3)
    assert changed == trace
