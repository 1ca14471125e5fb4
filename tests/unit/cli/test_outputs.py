"""What --export and -o ask for together."""

import pytest

from otrace.cli import outputs
from otrace.errors import UsageError
from otrace.exporting import ExporterOption


class Fake:
    options = (ExporterOption("level", int, 1),)

    def __init__(self, name, *suffixes):
        self.name = name
        self.suffixes = suffixes

    def check(self, target, options):
        if target is not None and target.startswith("/nowhere"):
            raise UsageError("cannot write there")


KNOWN = {
    "chrome": Fake("chrome", ".json", ".json.gz"),
    "perfetto": Fake("perfetto", ".pftrace"),
    "otlp": Fake("otlp"),
}


@pytest.fixture(autouse=True)
def known(monkeypatch, tmp_path):
    def find(name):
        if name not in KNOWN:
            raise UsageError(f"unknown exporter {name!r}")
        return KNOWN[name]

    def for_suffix(path, on_broken=None):
        for exporter in KNOWN.values():
            if exporter.suffixes and path.endswith(exporter.suffixes):
                return exporter
        raise UsageError("cannot tell the format")

    monkeypatch.setattr(outputs, "find", find)
    monkeypatch.setattr(outputs, "for_suffix", for_suffix)
    monkeypatch.chdir(tmp_path)


def plan(exports=(), files=(), options=None):
    found = outputs.plan(exports, files, options or {}, "app")
    return [(job.exporter.name, job.target) for job in found.jobs], found.keep_at


@pytest.mark.parametrize(
    ("exports", "files", "jobs"),
    [
        ((), (), [("chrome", "app.json")]),
        (("perfetto",), (), [("perfetto", "app.pftrace")]),
        (("otlp",), (), [("otlp", None)]),
        ((), ("t.json.gz",), [("chrome", "t.json.gz")]),
        ((), ("t.pftrace",), [("perfetto", "t.pftrace")]),
        (("chrome",), ("t.txt",), [("chrome", "t.txt")]),
        (("chrome=a.json", "otlp"), (), [("chrome", "a.json"), ("otlp", None)]),
        (("otlp",), ("t.json",), [("otlp", None), ("chrome", "t.json")]),
        (
            ("chrome", "perfetto"),
            ("x.pftrace",),
            [("chrome", "app.json"), ("perfetto", "x.pftrace")],
        ),
        (("chrome=a.json",), ("b.json",), [("chrome", "a.json"), ("chrome", "b.json")]),
        (("perfetto", "chrome"), ("a", "b.json"), [("perfetto", "a"), ("chrome", "b.json")]),
    ],
)
def test_plan(exports, files, jobs):
    assert plan(exports, files) == (jobs, None)


def test_the_recording_itself():
    assert plan((), ("x.otrace",)) == ([], "x.otrace")
    assert plan(("chrome",), ("x.otrace/",)) == ([("chrome", "app.json")], "x.otrace")


@pytest.mark.parametrize(
    ("exports", "files", "message"),
    [
        (("nope",), (), "unknown exporter"),
        (("chrome=",), (), "NAME or NAME=FILE"),
        (("=x",), (), "NAME or NAME=FILE"),
        ((), ("t.doc",), "cannot tell the format"),
        ((), ("/nowhere/t.json",), "cannot write there"),
        (("chrome=a.json", "perfetto=./a.json"), (), "two exports write to"),
        ((), ("a.otrace", "b.otrace"), "names two recordings"),
        ((), ("missing/a.otrace",), "cannot be written"),
        (("chrome",), ("-",), "standard output is the program's"),
    ],
)
def test_usage_errors(exports, files, message):
    with pytest.raises(UsageError, match=message):
        plan(exports, files)


def test_a_file_that_is_no_trace_is_not_overwritten_unasked(tmp_path):
    mine = tmp_path / "app.json"
    mine.write_text('{"settings": 1}')
    with pytest.raises(UsageError, match=r"app\.json exists and does not look like a trace"):
        plan()
    assert plan((), ("app.json",))[0] == [("chrome", "app.json")]
    for text in ("", '{"traceEvents":[]}'):
        mine.write_text(text)
        assert plan()[0] == [("chrome", "app.json")]


def test_only_a_recording_is_replaced_by_one(tmp_path):
    (tmp_path / "x.otrace").mkdir()
    with pytest.raises(UsageError, match="exists and is no recording"):
        plan((), ("x.otrace",))
    (tmp_path / "x.otrace" / "manifest.json").write_text('{"format": 1}')
    assert plan((), ("x.otrace",))[1] == "x.otrace"


def test_options_reach_their_exporter():
    found = outputs.plan(("chrome",), (), {"chrome": {"level": "3"}}, "app")
    assert found.jobs[0].options == {"level": 3}
    with pytest.raises(UsageError, match="for exporter 'otlp', which is not used"):
        plan(("chrome",), (), {"otlp": {"level": "3"}})
    with pytest.raises(UsageError, match="has no option 'x'"):
        plan(("chrome",), (), {"chrome": {"x": "3"}})
