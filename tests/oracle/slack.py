"""What the comparison leaves out, each with its reason. It is left out on both sides alike.

Generator close and death, comprehensions, calls of types and the like differ between versions of
Python, but not between two hooks of one version: the reference is always run on the product's own
interpreter, so none of them needs slack.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from dataclasses import replace

from .compare import Call, Track, subtree

# The import machinery keeps caches (directories, finders, locks) that two processes fill
# differently, and modules that one of them has loaded for its own use are not loaded again. So of
# an import only the bodies of the modules that the program names are compared.
MACHINERY = ("_frozen_importlib.", "_frozen_importlib_external.")

# `importlib` renames the two frozen modules when it is first imported; a name is kept as it was at
# the first sight of a function, and the product sees the functions earlier.
RENAMED = {
    "importlib._bootstrap.": "_frozen_importlib.",
    "importlib._bootstrap_external.": "_frozen_importlib_external.",
}

# Whether a lock is free, who waits, and who comes last are the scheduler's choice: what these do
# inside is not compared. The value is the part that is (none of them when empty).
SCHEDULED: dict[str, tuple[str, ...]] = {
    "threading.Barrier.wait": (),
    "threading.Condition.notify": (),
    "threading.Condition.notify_all": (),
    "threading.Condition.wait": (),
    "threading.Event.set": (),
    "threading.Event.wait": (),
    "threading.Semaphore.acquire": (),
    "threading.Semaphore.release": (),
    "threading._maintain_shutdown_locks": (),  # up to 3.12: looks at the threads not yet ended
    "concurrent.futures._base.Future.result": (),
    "concurrent.futures.thread._worker": ("concurrent.futures.thread._WorkItem.run",),
}

# 3.11's profile hook is set from within a new thread's Python start-up code, at a place that
# differs between hooks: a thread is compared from its `run` on.
BODIES_ONLY = sys.version_info < (3, 12)


def thread_body(track: Track) -> Track:
    """On 3.11 the thread from its `run` method on; the whole track elsewhere."""
    if BODIES_ONLY:
        for index, call in enumerate(track.calls):
            if call.kind == "python" and call.name.endswith(".run"):
                return Track(track.name, subtree(track.calls, index))
    return track


def comparable(track: Track, imports: Collection[str] = ()) -> Track:
    """The track without what may differ; depths close the gaps."""
    bodies = tuple(f"{module}.<module>" for module in imports)
    kept: list[Call] = []
    # The ancestors of the current call: (depth, new depth, the only names kept below or None).
    above: list[tuple[int, int, tuple[str, ...] | None]] = []
    for call in track.calls:
        while above and above[-1][0] >= call.depth:
            above.pop()
        _, parent_depth, wanted = above[-1] if above else (-1, -1, None)
        name = renamed(call.name)
        if wanted is None and name.startswith(MACHINERY):
            above.append((call.depth, parent_depth, bodies))
        elif wanted is not None and name not in wanted:
            above.append((call.depth, parent_depth, wanted))
        else:
            above.append((call.depth, parent_depth + 1, SCHEDULED.get(name)))
            file = None if call.file is None else visible(call.file)
            kept.append(replace(call, depth=parent_depth + 1, name=visible(name), file=file))
    return Track(thread_name(track.name), kept)


def renamed(name: str) -> str:
    for old, new in RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


# A thread without a name, or with an empty one, is shown by its number.
NUMBERED = re.compile(r"thread \d+")

# What is raised is not always told: the events of C calls say that one raised, not what, and 3.11's
# profile hook has put the exception away before it calls. The product may leave the type out then,
# but must not name another one.
UNTOLD = ("c",) if sys.version_info >= (3, 12) else ("c", "python")


def thread_name(name: str | None) -> str | None:
    return None if not name or NUMBERED.fullmatch(name) else visible(name)


def visible(text: str) -> str:
    """Lone surrogates as text, `\\udc80`: neither UTF-8 nor the viewers' JSON can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def same(truth: object, shown: object, field: str, kind: str) -> bool:
    """Whether two values of a field agree, of a call of this kind."""
    return truth == shown or (field == "exception" and kind in UNTOLD and shown is None)
