"""Every error that otrace raises, in one tree.

A message says what could not be done, to which thing, why, and the cure. The command line prints
it as one line and ends with `exit_status`. Inside a traced program none of these reaches the
user's code, except from the functions that start, stop or export a recording.
"""


class OtraceError(Exception):
    """The root: something that otrace was asked to do could not be done."""

    exit_status = 1


class UsageError(OtraceError):
    """What was asked for makes no sense: a wrong option, an unknown exporter, no such program."""

    exit_status = 2


class ConfigError(UsageError):
    """An option's value cannot be used. The message names the option and where it was given."""


class SessionError(OtraceError):
    """A session folder cannot be made, written or moved."""


class RecorderError(OtraceError):
    """A recording cannot be started or stopped in this process."""


class RecordingError(OtraceError):
    """A recording cannot be read: missing, foreign, damaged, or of a newer format."""


class ExportError(OtraceError):
    """A recording could be read and yet not be written or sent."""


class PluginError(UsageError):
    """An installed exporter cannot be loaded. The message names it and where it comes from."""


class ViewError(OtraceError):
    """A trace cannot be served to the viewer."""
