"""The recording options: one row each, from which everything else is derived.

A row gives the flag, the `OTRACE_*` variable, the key in `[tool.otrace]`, the API keyword, the
kind of value, the default and the help. Reading pyproject.toml and the order of precedence are in
`otrace.config_sources`; the flags are made from these rows by `otrace.cli`.

The traced program imports this module at its start: it may import nothing that is not loaded in
every interpreter already.
"""

from otrace.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Value = tuple[str, ...] | bool | int | float | str | None


class BadValueError(ValueError):
    """A value that an option cannot take; the text says what it takes."""


SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
    "k": 1 << 10,
    "m": 1 << 20,
    "g": 1 << 30,
    "t": 1 << 40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
DURATION_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the micro sign, U+00B5
    "μs": 10**3,  # the Greek letter, U+03BC
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
}
INT64_MAX = (1 << 63) - 1
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")


def split_number(text: str) -> tuple[str, str]:
    """Split "64 MiB" into ("64", "MiB"); the number part may be empty or no number at all."""
    text = text.strip()
    end = 0
    while end < len(text) and (text[end] in "0123456789._+-"):
        end += 1
    return text[:end], text[end:].strip()


def scale(number: str, factor: int) -> int | None:
    """`number` (decimal text, with or without a fraction) times `factor`, exactly; None: no number.

    Fractions smaller than one unit of the result are cut off.
    """
    whole, point, fraction = number.replace("_", "").partition(".")
    if not (whole or fraction) or not (whole + fraction).isascii():
        return None
    if not (whole + fraction).isdigit() or (point and not fraction):
        return None
    smallest: int = 10 ** len(fraction)
    return int(whole or "0") * factor + int(fraction or "0") * factor // smallest


def parse_size(value: object) -> int:
    """Bytes from "64MiB", "1.5GiB", "4096" or an int. Raises BadValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        size: int | None = value
    elif isinstance(value, str):
        number, unit = split_number(value)
        factor = SIZE_UNITS.get(unit.lower())
        size = None if factor is None else scale(number, factor)
    else:
        size = None
    if size is None or not 0 < size <= INT64_MAX:
        raise BadValueError("not a size: write it as 64MiB, 1GiB or a number of bytes")
    return size


def parse_duration(value: object) -> int:
    """Nanoseconds from "50us", "0.2ms" or "3s". A bare number has no unit: refused, except 0."""
    if value == 0 and not isinstance(value, bool):
        return 0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise BadValueError(f"a duration needs a unit: write {value}us, {value}ms or {value}s")
    if isinstance(value, str):
        number, unit = split_number(value)
        factor = DURATION_UNITS.get(unit)
        duration = scale(number, 1 if factor is None else factor)
        if duration == 0 and not unit:
            return 0
        if duration is not None and not unit:
            raise BadValueError(
                f"a duration needs a unit: write {number}us, {number}ms or {number}s"
            )
        if duration is not None and factor is not None and duration <= INT64_MAX:
            return duration
    raise BadValueError("not a duration: write it as 50us, 0.2ms or 3s")


def parse_part(value: object) -> float:
    """A part of the whole: "0.05", "5%", "off", or a number from 0 to 1. Raises BadValueError."""
    part: float | None = None
    if isinstance(value, str):
        text, percent = value.strip(), value.strip().endswith("%")
        try:
            part = 0.0 if text.lower() == "off" else float(text.removesuffix("%"))
        except ValueError:
            part = None
        part = part / 100 if part is not None and percent else part
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        part = float(value)
    if part is None or not 0 <= part <= 1:
        raise BadValueError("not a part of the whole: write 0.05, 5% or off")
    return part


def parse_count(value: object) -> int:
    """A whole number from 0 to 2**31 - 1. Raises BadValueError."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise BadValueError("not a whole number of 0 or more")
    return value


def parse_bool(value: object) -> bool:
    """True or False from 1 0 true false yes no on off. Raises BadValueError."""
    word = str(value).strip().lower()
    if isinstance(value, (bool, str)) or (isinstance(value, int) and value in (0, 1)):
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
    raise BadValueError("not a yes or a no: write 1 or 0, true or false")


def parse_list(value: object) -> tuple[str, ...]:
    """Names, from a text split at newlines and commas, or from an iterable of single names."""
    if isinstance(value, str):
        parts: list[str] = value.replace(",", "\n").split("\n")
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = []
        for part in value:
            if not isinstance(part, str):
                raise BadValueError(f"{part!r} is not a text: give names, paths or globs")
            parts.append(part)
    else:
        raise BadValueError("not a list of names, paths or globs")
    return tuple(part.strip() for part in parts if part.strip())


def parse_path(value: object) -> str | None:
    """A path as text; empty or None for "not given". Raises BadValueError."""
    if value is None or value == "":
        return None
    path = getattr(value, "__fspath__", lambda: value)()
    if not isinstance(path, str) or "\0" in path:
        raise BadValueError("not a path")
    return path


def format_list(value: object) -> str:
    """One name a line: the form of lists in variables."""
    assert isinstance(value, tuple)
    return "\n".join(value)


def format_bool(value: object) -> str:
    """The digit 1 or 0."""
    return "1" if value else "0"


def format_duration(value: object) -> str:
    """Nanoseconds as text with a unit."""
    return f"{value}ns"


class Kind:
    """A kind of option value: how it is parsed (BadValueError with the cure) and written."""

    __slots__ = ("format", "metavar", "parse")

    def __init__(
        self,
        metavar: str,
        parse: "Callable[[object], Value]",
        formatted: "Callable[[object], str]" = str,
    ) -> None:
        self.metavar = metavar
        self.parse = parse
        self.format = formatted


LIST = Kind("PATTERN", parse_list, format_list)
BOOL = Kind("", parse_bool, format_bool)
SIZE = Kind("SIZE", parse_size)
DURATION = Kind("TIME", parse_duration, format_duration)
COUNT = Kind("N", parse_count)
PART = Kind("PART", parse_part)
PATH = Kind("DIR", parse_path)


class Option:
    """One option: `field` of Options, `keyword` of the API and of [tool.otrace], flag, variable."""

    __slots__ = ("default", "field", "flag", "help", "keyword", "kind", "variable")

    def __init__(
        self,
        field: str,
        kind: Kind,
        default: "Value",
        flag: str,
        help_text: str,
        *,
        keyword: str = "",
        variable: str = "",
    ) -> None:
        self.field = field
        self.kind = kind
        self.default = default
        self.flag = flag
        self.help = help_text
        self.keyword = keyword or field
        self.variable = variable or "OTRACE_" + self.keyword.upper()

    def parse(self, value: object, origin: str) -> "Value":
        """The value in its final type. Raises ConfigError that names `origin`, such as a flag."""
        try:
            return self.kind.parse(value)
        except BadValueError as error:
            raise ConfigError(f"{origin} is {value!r}: {error}") from None


OPTIONS = (
    Option(
        "include",
        LIST,
        (),
        "--include",
        "Record only frames of this module prefix, path or glob (repeatable).",
    ),
    Option(
        "exclude",
        LIST,
        (),
        "--exclude",
        "Hide frames of this module prefix, path or glob (repeatable).",
    ),
    Option(
        "exclude_functions",
        LIST,
        (),
        "--exclude-function",
        "Hide functions whose qualified name matches this glob (repeatable).",
        variable="OTRACE_EXCLUDE_FUNCTION",
    ),
    Option("c_calls", BOOL, True, "--c-calls/--no-c-calls", "Record calls of C functions too."),
    Option(
        "stdlib",
        BOOL,
        True,
        "--stdlib/--no-stdlib",
        "Record frames of the standard library and of site-packages too.",
    ),
    Option(
        "min_duration_ns",
        DURATION,
        0,
        "--min-duration",
        "Leave out calls shorter than this, such as 50us.",
        keyword="min_duration",
    ),
    Option(
        "max_depth",
        COUNT,
        0,
        "--max-depth",
        "Leave out calls nested deeper than this; 0 for no limit.",
    ),
    Option(
        "loop_lag_ns",
        DURATION,
        0,
        "--loop-lag",
        "Mark event loops that are blocked for this long, such as 50ms.",
        keyword="loop_lag",
    ),
    Option(
        "overhead",
        PART,
        0.0,
        "--overhead",
        "Record at most for this part of the CPU time, such as 5%: functions that are called very "
        "often for very little are switched off for some time.",
    ),
    Option(
        "buffer_size",
        SIZE,
        1 << 30,
        "--buffer-size",
        "Room for one process's records, such as 64MiB; beyond it the oldest are overwritten.",
    ),
    Option(
        "follow",
        BOOL,
        True,
        "--follow/--no-follow",
        "Record the processes that the program starts too.",
    ),
    Option(
        "session_dir",
        PATH,
        None,
        "--session-dir",
        "Where the recording is written while the program runs.",
    ),
)


class Options:
    """The options of one recording. Immutable; fields as in OPTIONS, durations in nanoseconds."""

    __slots__ = tuple(option.field for option in OPTIONS)

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    exclude_functions: tuple[str, ...]
    c_calls: bool
    stdlib: bool
    min_duration_ns: int
    max_depth: int
    loop_lag_ns: int
    overhead: float
    buffer_size: int
    follow: bool
    session_dir: str | None

    def __init__(self, **fields: "Value") -> None:
        for option in OPTIONS:
            object.__setattr__(self, option.field, fields.pop(option.field, option.default))
        if fields:
            raise TypeError(f"Options has no field {next(iter(fields))!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Options cannot be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Options cannot be changed: {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Options):
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        changed = [
            f"{option.field}={getattr(self, option.field)!r}"
            for option in OPTIONS
            if getattr(self, option.field) != option.default
        ]
        return f"Options({', '.join(changed)})"

    def as_dict(self) -> "dict[str, Value]":
        """Field → value, in the order of OPTIONS."""
        return {option.field: getattr(self, option.field) for option in OPTIONS}

    @classmethod
    def from_environment(cls, environment: "Mapping[str, str]") -> "Options":
        """The options that `to_environment` wrote, or a person exported. Raises ConfigError."""
        return cls(**read_environment(environment))

    def to_environment(self) -> dict[str, str]:
        """Variable → text for every option that is not at its default."""
        return {
            option.variable: option.kind.format(getattr(self, option.field))
            for option in OPTIONS
            if getattr(self, option.field) != option.default
        }


def read_environment(environment: "Mapping[str, str]") -> "dict[str, Value]":
    """Field → value for the variables that are set; an empty one counts as not set."""
    return {
        option.field: option.parse(environment[option.variable], option.variable)
        for option in OPTIONS
        if environment.get(option.variable)
    }


def read_keywords(
    arguments: "Mapping[str, object]", options: "Iterable[Option]" = OPTIONS
) -> "dict[str, Value]":
    """Field → value for API keyword arguments; None counts as not given.

    Raises ConfigError for a value that cannot be used, TypeError for an unknown keyword.
    """
    rows = {option.keyword: option for option in options}
    fields: dict[str, Value] = {}
    for keyword, value in arguments.items():
        if keyword not in rows:
            raise TypeError(f"otrace has no option {keyword!r}; it has {', '.join(rows)}")
        if value is not None:
            fields[rows[keyword].field] = rows[keyword].parse(value, keyword)
    return fields
