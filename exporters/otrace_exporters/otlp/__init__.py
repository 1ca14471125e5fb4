"""The exporter `otlp`: a recording as OpenTelemetry spans, sent to a collector or to Jaeger.

exporter.py       the plug-in: options, check, export
configuration.py  options and OTEL_* variables → where and how to send
mapping.py        a recording → traces; resource.py, context.py: what they carry
entries.py        which calls are requests; request_traces.py: their traces
live.py           sending while the program runs; live_parts.py: a window of it
wire.py           attributes as protobuf has them
batches.py        spans → requests of a bounded size
transport.py      retries and errors; http_channel.py and grpc_channel.py: the two protocols
"""

from otrace_exporters.otlp.exporter import OtlpExporter

__all__ = ["OtlpExporter"]
