"""Entry points of installed distributions, read without importing importlib.metadata.

`otrace run` needs one exporter by name before the program starts; the general machinery would be
a third of its start-up time. Folders on sys.path are read here; `read_group_anywhere` asks the
general machinery, for what is installed in zip files or behind other finders.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class EntryPoint:
    """One line `name = value` of a group; `value` is `module:attribute`."""

    name: str
    value: str
    distribution: str  # "otrace-speedscope 1.0"

    def load(self) -> object:
        """The object it names. Raises whatever the import raises."""
        module_name, _, attributes = self.value.partition(":")
        __import__(module_name.strip())
        found: object = sys.modules[module_name.strip()]
        for attribute in attributes.partition("[")[0].strip().split("."):
            if attribute:
                found = getattr(found, attribute)
        return found


def read_group(group: str) -> list[EntryPoint]:
    """The entry points of a group in the folders of sys.path; the first of a name wins."""
    found: dict[str, EntryPoint] = {}
    seen: set[str] = set()
    for folder in sys.path:
        for path in metadata_folders(folder or "."):
            distribution = distribution_of(path)
            key = distribution.partition(" ")[0].lower().replace("-", "_")
            if key in seen:  # shadowed by the same distribution earlier on the path
                continue
            seen.add(key)
            for name, value in read_section(os.path.join(path, "entry_points.txt"), group):
                found.setdefault(name, EntryPoint(name, value, distribution))
    return list(found.values())


def read_group_anywhere(group: str) -> list[EntryPoint]:
    """The entry points of a group by the standard library's machinery: complete, and slow."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        owner = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "?"
        found.setdefault(point.name, EntryPoint(point.name, point.value, owner))
    return list(found.values())


def metadata_folders(folder: str) -> list[str]:
    """The .dist-info and .egg-info folders directly in `folder`; none when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))
            )
    except OSError:
        return []


def distribution_of(path: str) -> str:
    """The "name version" that the name of a metadata folder says."""
    name, _, version = os.path.basename(path).rpartition(".")[0].partition("-")
    return f"{name} {version.partition('-')[0]}".rstrip()


def read_section(path: str, section: str) -> Iterator[tuple[str, str]]:
    """(name, value) of the lines of one section of an entry_points.txt; nothing without one."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return
    inside = False
    for raw in text.splitlines() if f"[{section}]" in text else ():
        line = raw.strip()
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and line and line[0] not in "#;":
            name, equals, value = line.partition("=")
            if equals:
                yield name.strip(), value.strip()
