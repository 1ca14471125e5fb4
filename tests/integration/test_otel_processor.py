"""The span processor in programs of its own, with an exporter that keeps spans in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HEAD = """
import json, os, sys, time, threading
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otrace.otel import OtraceSpanProcessor, stats

exporter = InMemorySpanExporter()
provider = TracerProvider()
tracer = provider.get_tracer("test")

def done():
    assert provider.force_flush()
    spans = [
        {
            "name": s.name, "id": s.context.span_id, "parent": s.parent and s.parent.span_id,
            "trace": s.context.trace_id, "start": s.start_time, "end": s.end_time,
            "attributes": dict(s.attributes), "events": [e.name for e in s.events],
        }
        for s in exporter.get_finished_spans()
    ]
    counts = stats()
    provider.shutdown()
    print(json.dumps({"spans": spans, "stats": counts}))
"""
IN_FRONT = "provider.add_span_processor(OtraceSpanProcessor(SimpleSpanProcessor(exporter), {}))\n"
BESIDE = (
    "provider.add_span_processor(SimpleSpanProcessor(exporter))\n"
    "provider.add_span_processor(OtraceSpanProcessor(exporter=exporter, {}))\n"
)
WORK = """
def leaf():
    pass

def query():
    with tracer.start_as_current_span("query"):
        leaf()

def handle():
    leaf()
    query()
    leaf()

def request(slow=False):
    with tracer.start_as_current_span("request"):
        handle()
        if slow:
            time.sleep(0.06)
"""


class Spans:
    """What was exported."""

    def __init__(self, text: str) -> None:
        found = json.loads(text)
        self.spans: list[dict[str, Any]] = found["spans"]
        self.stats: dict[str, int] = found["stats"]

    def tree(self, parent: int | None = None) -> list[Any]:
        below = sorted(
            (span for span in self.spans if span["parent"] == parent), key=lambda s: s["start"]
        )
        return [[span["name"].removeprefix("__main__."), *self.tree(span["id"])] for span in below]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]


def run(tmp_path: Path, *parts: str, **environment: str) -> Spans:
    program = tmp_path / "service.py"
    program.write_text("\n".join((HEAD, *parts, "done()")))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return Spans(done.stdout)


def test_a_slow_request_in_front_of_the_exporter(tmp_path: Path) -> None:
    """Its own spans are below the calls that opened them; the quick one before it is bare."""
    spans = run(tmp_path, IN_FRONT.format("slow=0.05"), WORK, "request(); request(slow=True)")
    assert spans.tree() == [
        ["request", ["query"]],
        ["request", ["handle", ["leaf"], ["query", ["query", ["leaf"]]], ["leaf"]]],
    ]
    quick, slow = spans.named("request")
    assert quick["attributes"] == {}
    assert slow["attributes"] == {
        "otrace.captured": True,
        "otrace.trigger": "slow",
        "otrace.total.calls": 5,
    }
    assert spans.stats["captured"] == 1
    assert spans.stats["sent"] == 5


def test_a_slow_request_beside_another_processor(tmp_path: Path) -> None:
    """Ended spans stay as they are: the topmost call tells."""
    spans = run(tmp_path, BESIDE.format("slow=0.05"), WORK, "request(slow=True)")
    assert spans.tree() == [
        ["request", ["handle", ["leaf"], ["query"], ["leaf"]], ["query", ["leaf"]]],
    ]
    [handle] = spans.named("__main__.handle")
    assert handle["attributes"]["otrace.captured"] is True
    assert handle["attributes"]["otrace.trigger"] == "slow"


def test_an_error_and_its_calls(tmp_path: Path) -> None:
    body = """
try:
    with tracer.start_as_current_span('r'):
        handle()
        1 / 0
except ZeroDivisionError:
    pass
"""
    spans = run(tmp_path, IN_FRONT.format("slow=None"), WORK, "request()", body)
    assert [span["attributes"].get("otrace.trigger") for span in spans.named("r")] == ["error"]
    assert "otrace.captured" not in spans.named("request")[0]["attributes"]


def test_threads_that_work_for_a_trace(tmp_path: Path) -> None:
    """The context is handed over, no span begins there; another thread's calls are not taken."""
    body = """
from contextvars import copy_context
def inside(): leaf()
def outside(): leaf()
with tracer.start_as_current_span("request"):
    threads = [threading.Thread(target=copy_context().run, args=(inside,)),
               threading.Thread(target=outside)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
    spans = run(tmp_path, IN_FRONT.format("mode='always', include=['__main__']"), WORK, body)
    assert spans.tree() == [["request", ["inside", ["leaf"]]]]


def test_tasks_each_have_their_own_span(tmp_path: Path) -> None:
    body = """
import asyncio
async def ask(name):
    with tracer.start_as_current_span(name):
        leaf()
        await asyncio.sleep(0.001)
        leaf()
async def both():
    with tracer.start_as_current_span("request"):
        await asyncio.gather(ask("a"), ask("b"))
        leaf()
asyncio.run(both())
"""
    spans = run(tmp_path, IN_FRONT.format("mode='always', include=['__main__']"), WORK, body)
    ids = {span["id"]: span for span in spans.spans}
    owners = [ids[leaf["parent"]]["name"] for leaf in spans.named("__main__.leaf")]
    assert len(owners) == 5
    for span in spans.spans:
        assert span["parent"] is None or span["parent"] in ids
    for name in "ab":
        [one] = spans.named(name)
        leaves = [s for s in spans.named("__main__.leaf") if one["id"] in ancestors(s, ids)]
        assert len(leaves) == 2


def ancestors(span: dict[str, Any], ids: dict[int, dict[str, Any]]) -> set[int]:
    found: set[int] = set()
    while span["parent"] is not None:
        found.add(span["parent"])
        span = ids[span["parent"]]
    return found


def test_the_rate_is_limited_and_told(tmp_path: Path) -> None:
    """One a minute: the others go without their calls."""
    spans = run(
        tmp_path, IN_FRONT.format("slow=0, per_minute=1"), WORK, "for _ in range(5): request()"
    )
    captured = [s for s in spans.named("request") if "otrace.captured" in s["attributes"]]
    assert len(captured) == 1
    assert len(spans.named("request")) == 5
    assert spans.stats["suppressed"] == 4


def test_sampled_keeps_a_part(tmp_path: Path) -> None:
    spans = run(
        tmp_path,
        IN_FRONT.format("mode='sampled', ratio=0.5"),
        WORK,
        "for _ in range(40): request()",
    )
    for span in spans.named("request"):
        kept = span["trace"] & (1 << 64) - 1 < 1 << 63
        assert ("otrace.captured" in span["attributes"]) == kept


def test_unsampled_traces_stay_away(tmp_path: Path) -> None:
    body = """
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
provider.sampler = ALWAYS_OFF
tracer = provider.get_tracer("off")
request(slow=True)
"""
    spans = run(tmp_path, IN_FRONT.format("slow=0.01"), WORK, body)
    assert spans.spans == []
    assert spans.stats["captured"] == 0


UNSAMPLED = """
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, AlwaysRecordSampler, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags
provider.sampler = AlwaysRecordSampler(ParentBased(ALWAYS_OFF))
tracer = provider.get_tracer("unsampled")
"""


def test_slow_ones_of_the_unsampled_are_kept_when_asked_for(tmp_path: Path) -> None:
    """Whole, and nothing of the quick ones; what other services are told stays."""
    body = """
request()
request(slow=True)
remote = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(0))
told = {}
with tracer.start_as_current_span(
    "failed", trace.set_span_in_context(NonRecordingSpan(remote))
) as span:
    leaf()
    inject(told)
    span.set_status(Status(StatusCode.ERROR))
assert told["traceparent"].endswith("-00"), told
assert not span.get_span_context().trace_flags.sampled
assert not span.parent.trace_flags.sampled
"""
    setting = IN_FRONT.format("slow=0.05, keep_unsampled=True")
    spans = run(tmp_path, setting, UNSAMPLED, WORK, body)
    assert spans.tree() == [
        ["request", ["handle", ["leaf"], ["query", ["query", ["leaf"]]], ["leaf"]]],
    ]
    assert spans.tree(9) == [["failed", ["leaf"]]]
    assert spans.named("request")[0]["attributes"] == {
        "otrace.captured": True,
        "otrace.trigger": "slow",
        "otrace.unsampled": True,
        "otrace.total.calls": 5,
    }
    assert spans.stats["captured"] == 2


def test_the_unsampled_stay_away_beyond_the_bounds_and_without_the_option(tmp_path: Path) -> None:
    for options in ("slow=0.01", "slow=0.01, keep_unsampled=True, hold_spans=1"):
        body = "request(slow=True)"
        spans = run(tmp_path, IN_FRONT.format(options), UNSAMPLED, WORK, body)
        assert spans.spans == []
        assert spans.stats["captured"] == 0


def test_a_span_that_ends_after_its_unsampled_root_is_kept_with_it(tmp_path: Path) -> None:
    body = """
with tracer.start_as_current_span("request"):
    late = tracer.start_span("late")
    time.sleep(0.06)
assert provider.force_flush()
late.end()
"""
    setting = IN_FRONT.format("slow=0.05, keep_unsampled=True")
    spans = run(tmp_path, setting, UNSAMPLED, body)
    assert spans.tree() == [["request", ["late"]]]


def test_the_processors_defaults_come_after_the_projects_options(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.otrace]\nc_calls = true\n")
    body = """
def work():
    time.sleep(0.06)

with tracer.start_as_current_span("request"):
    work()
"""
    setting = f"os.chdir({str(tmp_path)!r})\n" + IN_FRONT.format("slow=0.05")
    assert run(tmp_path, setting, body).named("time.sleep")
    assert not run(tmp_path, setting, body, OTRACE_C_CALLS="0").named("time.sleep")
    argument = setting.replace("slow=0.05", "slow=0.05, c_calls=True")
    assert run(tmp_path, argument, body, OTRACE_C_CALLS="0").named("time.sleep")


def test_what_the_ring_has_lost_is_told(tmp_path: Path) -> None:
    """A request longer than the ring: its end is there, and how much of its beginning is not."""
    body = """
def busy():
    for _ in range(300_000): leaf()
with tracer.start_as_current_span("request"):
    busy()
    handle()
"""
    options = "slow=0, buffer_size='1MiB', max_spans=100, include=['__main__']"
    spans = run(tmp_path, IN_FRONT.format(options), WORK, body)
    [root] = spans.named("request")
    assert root["attributes"]["otrace.lost.ns"] > 0
    [busy] = spans.named("__main__.busy")
    assert busy["attributes"]["otrace.cut"] is True
    assert busy["parent"] == root["id"]
    assert len(spans.named("__main__.handle")) == 1
    assert len(spans.spans) <= 101


def test_a_forked_worker_sends_its_own(tmp_path: Path) -> None:
    """As gunicorn --preload: the processor is made before the fork, and used after it."""
    body = """
request(slow=True)
assert provider.force_flush()
exporter.clear()
pid = os.fork()
if pid == 0:
    request(slow=True)
    done()
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
provider.shutdown()
sys.stdout.flush()
os._exit(0)
"""
    spans = run(tmp_path, IN_FRONT.format("slow=0.05"), WORK, body)
    assert spans.tree() == [
        ["request", ["handle", ["leaf"], ["query", ["query", ["leaf"]]], ["leaf"]]]
    ]
    assert spans.stats["captured"] == 1


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    run(
        tmp_path,
        IN_FRONT.format(f"slow=0, session_dir={str(tmp_path)!r}"),
        WORK,
        f"request(); assert any(n.endswith('.otrace') for n in os.listdir({str(tmp_path)!r}))",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["service.py"]


def test_importing_otrace_imports_no_opentelemetry() -> None:
    code = "import otrace, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
