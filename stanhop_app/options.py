"""Options, declared once: a dataclass field with its default, a sentence, choices and bounds.

Command line, TOML files, environment variables, help, the dashboard's widgets and checks are made from these
fields. Nothing here needs torch.

Examples:
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Oven:
    ...     degrees: float = option(180.0, "Temperature, in degrees Celsius.", least=0, most=300)
    ...     fan: bool = option(True, "Whether the fan runs.")
    ...     def __post_init__(self) -> None:
    ...         check(self)
    >>> Oven(degrees=400)
    Traceback (most recent call last):
    stanhop_app.errors.OptionError: degrees must be in 0..300, got 400.
    >>> options_of(Oven)["fan"].sentence
    'Whether the fan runs.'
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stanhop_app.errors import OptionError

Choices = tuple[str, ...] | Callable[[], tuple[str, ...]]
"""Names, or a function that returns those that are registered; a registry checks its names itself."""
_KEY = "option"


class Shares(tuple[float, ...]):
    """Values of a search as multiples of the value that is taken where nobody searches."""

    __slots__ = ()

    def __new__(cls, *values: float) -> "Shares":
        """Multiples, such as ``Shares(0.5, 1, 2)``."""
        return super().__new__(cls, values)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a number must be; None: no bound."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def hold(self, value: float) -> bool:
        """Whether a number lies within; not a number lies nowhere."""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"in {_number(self.least)}..{_number(self.most)}"
        low = self.least if self.least is not None else self.above
        high = self.most if self.most is not None else self.below
        if low is not None and high is not None:
            brackets = "[" if self.above is None else "(", "]" if self.below is None else ")"
            return f"in {brackets[0]}{_number(low)}, {_number(high)}{brackets[1]}"
        words = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        return " and ".join(f"{w} {_number(v)}" for w, v in words.items() if v is not None)


@dataclass(frozen=True, kw_only=True)
class Option:
    """What there is to know of one option."""

    name: str
    kind: Any
    """int, float, bool, str, list or tuple (of two numbers), whether it may be None or not."""
    default: Any
    """`dataclasses.MISSING` where there is none."""
    sentence: str
    choices: Choices | None
    bounds: Bounds
    optional: bool
    """Whether it may be None."""
    metavar: str | None
    flags: tuple[str, str] | None
    """Flags of a truth value that are not ``--NAME`` and ``--no-NAME``."""
    suggested: tuple[str, ...] | None
    """Values that a widget offers, where others are possible."""
    search: tuple[Any, ...] | None
    """Where a search looks: the lowest and the highest of numbers; or three values and more; or `Shares`."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """What it is chosen from; None: anything."""
        return self.choices() if callable(self.choices) else self.choices


def option(
    default: Any,
    sentence: str,
    *,
    choices: Choices | None = None,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    metavar: str | None = None,
    flags: tuple[str, str] | None = None,
    suggested: tuple[str, ...] | None = None,
    search: tuple[Any, ...] | None = None,
) -> Any:
    """A dataclass field that is an option.

    Args:
        default: its value where nothing is said; `dataclasses.MISSING`: it must be said.
        sentence: what it does, with its unit; the first thing that help shows.
        choices: names that it is one of.
        least: smallest value.
        above: a value that it must exceed.
        most: largest value.
        below: a value that it must stay under.
        metavar: what help calls its value.
        flags: of a truth value, for "on" and "off".
        suggested: values that a widget offers, where others are possible.
        search: where a search looks by default: (lowest, highest), or three values and more.
    """
    bounds = Bounds(least=least, above=above, most=most, below=below)
    description = {
        "sentence": sentence,
        "choices": choices,
        "bounds": bounds,
        "metavar": metavar,
        "flags": flags,
        "suggested": suggested,
        "search": search,
    }
    return field(default=default, metadata={_KEY: description})


def like(config: type, name: str, **changes: Any) -> Any:
    """A dataclass field that is the option of this name of another dataclass.

    Args:
        config: the dataclass that declares it.
        name: of the option, in both.
        changes: what is another here, such as its default or sentence (`option`).
    """
    (declared,) = (f for f in fields(config) if f.name == name)
    described = dict(declared.metadata[_KEY])
    bounds = asdict(described.pop("bounds"))
    return option(**{"default": declared.default, **described, **bounds, **changes})


def options_of(config: Any) -> dict[str, Option]:
    """The options of a dataclass, by name, in their order; fields that are none are left out."""
    hints = get_type_hints(config if isinstance(config, type) else type(config))
    return {
        f.name: Option(
            name=f.name, kind=kind, default=f.default, optional=optional, **f.metadata[_KEY]
        )
        for f in fields(config)
        if _KEY in f.metadata
        for kind, optional in (_kind(hints[f.name]),)
    }


def defaults_of(*configs: type) -> dict[str, Any]:
    """The defaults of all options of some dataclasses, by name; those that must be said are left out."""
    return {
        name: described.default
        for config in configs
        for name, described in options_of(config).items()
        if described.default is not MISSING
    }


def check(config: Any) -> None:
    """Raise OptionError unless every option of a dataclass is within its bounds and among its choices."""
    for name, known in options_of(config).items():
        value = getattr(config, name)
        if value is None and known.optional:
            continue
        if isinstance(known.choices, tuple) and value not in known.choices:
            listed = ", ".join(known.choices)
            raise OptionError(f"{name} must be one of {listed}, got {value!r}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not known.bounds.hold(value):
            raise OptionError(f"{name} must be {known.bounds}, got {value}.")


def check_known(given: Iterable[str], known: Iterable[str], name: str) -> None:
    """Raise OptionError for the first of some names that is not known.

    Args:
        given: names.
        known: those that there are.
        name: of what holds them, for the message.
    """
    known = sorted(known)
    for key in given:
        if key not in known:
            raise OptionError(f"unknown option {key!r} in {name}; choose from: {', '.join(known)}.")


def _kind(hint: Any) -> tuple[Any, bool]:
    """The type of an option's value, and whether it may be None."""
    optional = False
    if get_origin(hint) in (Union, UnionType):
        optional = NoneType in get_args(hint)
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is Literal:
        return str, optional
    return get_origin(hint) or hint, optional


def _number(value: float) -> str:
    """A bound as people write it: 2**32, not 4294967296."""
    if isinstance(value, int) and value >= 2**20 and value & (value - 1) == 0:
        return f"2**{value.bit_length() - 1}"
    return f"{value:g}"


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of numpy, which searches over parameters draw, as those of Python."""
    return {k: v.item() if hasattr(v, "item") else v for k, v in options.items()}


def split_names(text: str) -> list[str]:
    """Names as an option lists them: comma separated, in double quotes where a comma belongs to one.

    Raises:
        OptionError: if quotes do not close.

    Examples:
        >>> split_names('OT, "Oil, crude"')
        ['OT', 'Oil, crude']
    """
    try:
        (names,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise OptionError(f"{text!r} is not a list of names such as a,b.") from None
    return [name.strip() for name in names]


def join_names(names: Iterable[Any]) -> str:
    """What `split_names` makes the names from.

    Examples:
        >>> join_names(["OT", "Oil, crude"])
        'OT,"Oil, crude"'
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(list(map(str, names)))
    return line.getvalue()


def checked(
    given: Mapping[str, Any] | None, config: type, own: set[str], name: str
) -> dict[str, Any]:
    """Further fields for a config, each known and not an argument of its own."""
    if given is not None and not isinstance(given, Mapping):
        raise OptionError(f"{name} is a dictionary of options, got {given!r}.")
    known = {f.name for f in fields(config)}
    for key in known & own & set(given or {}):
        raise OptionError(
            f"option {key!r} is a parameter of its own; say {key}=... beside {name}, not in it."
        )
    check_known(given or {}, known - own, name)
    return dict(given or {})
