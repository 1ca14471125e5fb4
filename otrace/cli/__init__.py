"""The command line: one command a file, loaded when it is used, and one error boundary."""

from otrace.cli.boundary import main

__all__ = ["main"]
