"""Where options come from: arguments, then variables, then pyproject.toml, then the default."""

from __future__ import annotations

import os

from otrace.config import OPTIONS, Options, read_environment, read_keywords
from otrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from otrace.config import Value

PATH_PATTERNS = ("include", "exclude")  # fields whose patterns may be paths


def find_pyproject(start: str) -> str | None:
    """The nearest pyproject.toml from the folder `start` upwards, whatever it contains."""
    folder = os.path.abspath(start)
    while True:
        candidate = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(candidate):
            return candidate
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)


def read_pyproject(path: str) -> dict[str, Value]:
    """Field → value from the table [tool.otrace] of a file; keys with `-` or `_`.

    Raises ConfigError that names the file for bad TOML, an unknown key or a bad value.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if b"otrace" not in data:  # spares most projects the import and the parsing
        return {}
    import tomllib

    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    table = document.get("tool", {})
    table = table.get("otrace", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"tool.otrace in {path} must be a table: [tool.otrace]")
    rows = {option.keyword: option for option in OPTIONS}
    fields: dict[str, Value] = {}
    for key, value in table.items():
        option = rows.get(key.replace("-", "_"))
        if option is None:
            known = ", ".join(sorted(rows))
            raise ConfigError(f"unknown key {key!r} in [tool.otrace] of {path}; known are {known}")
        fields[option.field] = option.parse(value, f"{key} in [tool.otrace] of {path}")
    return fields


def resolve(
    arguments: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    *,
    defaults: Mapping[str, str] | None = None,
) -> Options:
    """The options in force for API keyword or flag `arguments` (None: not given).

    `environment` is os.environ unless given, `folder` (where the search for pyproject.toml starts)
    the current one. Relative paths in patterns count from there, and in pyproject.toml from its own
    folder. `defaults` (variables, too) count where nothing is said. Raises ConfigError, and
    TypeError for an unknown keyword.
    """
    fields = read_environment(defaults or {})
    try:
        start = os.path.abspath(folder if folder is not None else os.getcwd())
    except OSError:  # the current directory is gone
        start = "/"
    pyproject = find_pyproject(start)
    if pyproject is not None:
        fields.update(with_absolute_paths(read_pyproject(pyproject), os.path.dirname(pyproject)))
    given = read_environment(os.environ if environment is None else environment)
    given.update(read_keywords(arguments))
    fields.update(with_absolute_paths(given, start))
    return Options(**fields)


def with_absolute_paths(fields: dict[str, Value], base: str) -> dict[str, Value]:
    """The same fields, with the relative paths among the module and path patterns made absolute."""
    changed = dict(fields)
    for field in PATH_PATTERNS:
        patterns = fields.get(field)
        if isinstance(patterns, tuple):
            changed[field] = tuple(absolute(pattern, base) for pattern in patterns)
    return changed


def absolute(pattern: str, base: str) -> str:
    """A path below `base` for a pattern with a slash; module names and other globs stay."""
    if "/" not in pattern or pattern.startswith(("/", "*")):
        return pattern
    return os.path.normpath(os.path.join(base, pattern))
