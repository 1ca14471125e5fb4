"""The report: one page to send, with what a recording says about its program."""

from otrace_exporters.report.exporter import ReportExporter

__all__ = ["ReportExporter"]
