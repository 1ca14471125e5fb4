"""OpenTelemetry as services set it up; otrace is the one line around the batch processor."""

import socket

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otrace.otel import OtraceSpanProcessor


def set_up(service: str) -> TracerProvider:
    """Send this service's spans to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names."""
    host = socket.gethostname()  # without it Jaeger suspects the clocks of two machines
    resource = Resource.create({"service.name": service, "host.name": host})
    provider = TracerProvider(resource=resource)
    batches = BatchSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(OtraceSpanProcessor(next=batches, slow=0.2))
    trace.set_tracer_provider(provider)
    return provider
