"""The OpenTelemetry bridge: a slow or failed request's function calls, as spans in its own trace.

    provider.add_span_processor(OtraceSpanProcessor(next=BatchSpanProcessor(exporter), slow=0.25))

processor.py   spans start and end: what is noted, and when a trace is worth keeping
triggers.py    slow, failed, and how often
roots.py       a local trace while its spans are open
ring.py        the recording that is always on
worker.py      one thread that reads the ring; capture.py: what it reads
outbox.py      one thread that sends; ways.py: over otrace's OTLP, or the service's own exporter
stats.py       counters; metrics.py: the same for OpenTelemetry
exits.py       processes that run no exit handlers

Importing `otrace` imports nothing of this; importing this imports the OpenTelemetry SDK.
"""

from otrace.otel.instrumentor import OtraceInstrumentor
from otrace.otel.processor import OtraceSpanProcessor
from otrace.otel.stats import stats

__all__ = ["OtraceInstrumentor", "OtraceSpanProcessor", "stats"]
