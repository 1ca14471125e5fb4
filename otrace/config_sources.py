"""Where options come from: arguments, then variables, then pyproject.toml, then the default."""

from __future__ import annotations

import os

from otrace.config import OPTIONS, Options, read_environment, read_keywords
from otrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from otrace.config import Value


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
) -> Options:
    """The options in force for API keyword or flag `arguments` (None: not given).

    `environment` is os.environ unless given, `folder` (where the search for pyproject.toml starts)
    the current one. Raises ConfigError, and TypeError for an unknown keyword.
    """
    fields: dict[str, Value] = {}
    try:
        pyproject = find_pyproject(os.fspath(folder) if folder is not None else os.getcwd())
    except OSError:  # the current directory is gone
        pyproject = None
    if pyproject is not None:
        fields.update(read_pyproject(pyproject))
    fields.update(read_environment(os.environ if environment is None else environment))
    fields.update(read_keywords(arguments))
    return Options(**fields)
