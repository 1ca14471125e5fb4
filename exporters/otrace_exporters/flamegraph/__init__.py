"""The flamegraph: one page that shows where the time went, and needs nothing but a browser."""

from otrace_exporters.flamegraph.exporter import FlamegraphExporter

__all__ = ["FlamegraphExporter"]
