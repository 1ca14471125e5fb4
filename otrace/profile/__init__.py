"""Where the time of a recording went: a tree of call paths, and totals of functions.

    profile = Profile.of(Recording.open("app.otrace"))
    for function in sorted(profile.functions, key=lambda function: -function.self_ns):
        print(function.name, function.calls, function.self_ns, function.quantile(0.95))

Everything is counted from all calls, natively, in one pass over each track; memory grows with the
number of functions and of call paths, not with calls.
"""

from otrace.profile.functions import ExceptionCount, FunctionProfile, SlowCall
from otrace.profile.profile import Profile, Root
from otrace.profile.tasks import TaskRoot
from otrace.profile.tree import CallTree

__all__ = [
    "CallTree",
    "ExceptionCount",
    "FunctionProfile",
    "Profile",
    "Root",
    "SlowCall",
    "TaskRoot",
]
