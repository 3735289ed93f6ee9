"""What a search over options chooses from, made from the fields that declare them. No torch is needed."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stanhop_app.errors import OptionError
from stanhop_app.models.config import STanHopConfig
from stanhop_app.options import Option, Shares, options_of
from stanhop_app.training.config import TrainingConfig

DEFAULT_SPACE = (
    "learning_rate",
    "max_epochs",
    "dropout",
    "dim",
    "num_layers",
    "lookback",
    "deep_lookback",
    "patch_length",
    "batch_size",
    "weight_decay",
)
"""The options that are searched where none are named."""
FIXED = (
    "num_variates",
    "horizon",
    "seed",
    "device",
    "devices",
    "num_nodes",
    "precision",
    "linear_skip",
    "keep",
)
"""Options that say what is asked, or on what machine: no search chooses them."""


class Suggests(Protocol):
    """A trial of Optuna, as far as it is asked here."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = ...) -> int:
        """A whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
        """A number."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of some values."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What one option may be: a number between two, or one of some values."""

    name: str
    low: float | None = None
    high: float | None = None
    whole: bool = False
    values: tuple[Any, ...] = ()

    @property
    def log(self) -> bool:
        """Whether its logarithm is searched evenly: where it spans a factor of ten, and is no count."""
        low, high = self.low, self.high
        return low is not None and high is not None and low > 0 and 10 * low <= high

    def suggest(self, trial: Suggests) -> Any:
        """The value of a trial."""
        if self.values:
            return trial.suggest_categorical(self.name, list(self.values))
        assert self.low is not None
        assert self.high is not None
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether a value may be suggested."""
        if self.values:
            return value in self.values
        assert self.low is not None
        assert self.high is not None
        return isinstance(value, int | float) and self.low <= value <= self.high

    def as_json(self) -> list[Any]:
        """JSON values that tell it."""
        return [self.name, self.low, self.high, list(self.values)]


def searched() -> dict[str, Option]:
    """Every option that may be searched, by name."""
    known = {**options_of(STanHopConfig), **options_of(TrainingConfig)}
    return {name: option for name, option in known.items() if name not in FIXED}


def space(asked: Sequence[str], base: Mapping[str, Any]) -> list[Dimension]:
    """The dimensions of a search.

    Args:
        asked: names of options, each alone or with where it is searched: "dim=32|64|128",
            "dropout=0..0.3". Alone, it is searched where its field says; a number whose field says nothing,
            between its bounds; one of some names, among all.
        base: the values that options have where nobody searches, which multiples are of.

    Raises:
        OptionError: for a name that there is not, or twice, and for what lies outside an option's bounds.
    """
    known, dimensions = searched(), []
    for text in asked:
        name, _, where = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known:
            raise OptionError(
                f"search (--search): no option {name!r} to search; there are {', '.join(sorted(known))}."
            )
        dimension = _said(known[name], where) if where else _declared(known[name], base)
        dimensions.append(_with_base(dimension, base[name]))
    names = [dimension.name for dimension in dimensions]
    if len(set(names)) < len(names) or not names:
        raise OptionError("search (--search): an option is named twice, or none is.")
    return dimensions


def _declared(option: Option, base: Mapping[str, Any]) -> Dimension:
    """Where the field of an option says that it is searched."""
    if option.names is not None:
        return Dimension(name=option.name, values=tuple(option.names))
    if option.kind is bool:
        return Dimension(name=option.name, values=(False, True))
    if isinstance(option.search, Shares):
        value, most = base[option.name], option.bounds.most or math.inf
        shares = (max(round(share * value), 1) for share in option.search)
        return Dimension(
            name=option.name, values=tuple(dict.fromkeys(int(min(v, most)) for v in shares))
        )
    if option.search is not None and len(option.search) > 2:
        return Dimension(name=option.name, values=option.search)
    bounds = (option.bounds.least, option.bounds.most)
    low, high = option.search or bounds
    if option.kind not in (int, float) or low is None or high is None:
        raise OptionError(
            f"search (--search): say where {option.name} is searched, as {option.name}=1..4 or "
            f"{option.name}=1|2|4."
        )
    return Dimension(name=option.name, low=low, high=high, whole=option.kind is int)


def _said(option: Option, where: str) -> Dimension:
    """Where a user says that an option is searched."""
    span = re.fullmatch(r"\s*([^.|]+(?:\.\d+)?)\.\.(.+)", where)
    if span and option.kind in (int, float):
        low, high = (_value(option, text) for text in span.groups())
        if not low < high:
            raise OptionError(f"search (--search): {option.name}={where} holds nothing.")
        return Dimension(name=option.name, low=low, high=high, whole=option.kind is int)
    values = tuple(_value(option, text) for text in where.split("|"))
    return Dimension(name=option.name, values=values)


def _value(option: Option, text: str) -> Any:
    text = text.strip()
    try:
        value = {"true": True, "false": False}[text] if option.kind is bool else option.kind(text)
    except (ValueError, TypeError, KeyError):
        raise OptionError(f"search (--search): {option.name} cannot be {text!r}.") from None
    if option.names is not None and value not in option.names:
        listed = ", ".join(option.names)
        raise OptionError(f"search (--search): {option.name} is one of {listed}, not {text!r}.")
    if isinstance(value, int | float) and not option.bounds.hold(value):
        raise OptionError(f"search (--search): {option.name} must be {option.bounds}, got {text}.")
    return value


def _with_base(dimension: Dimension, value: Any) -> Dimension:
    """A dimension that holds the value that is taken where nobody searches: the first trial."""
    if value is None or dimension.holds(value):
        return dimension
    if dimension.values:
        return Dimension(name=dimension.name, values=(*dimension.values, value))
    assert dimension.low is not None
    assert dimension.high is not None
    low, high = min(dimension.low, value), max(dimension.high, value)
    return Dimension(name=dimension.name, low=low, high=high, whole=dimension.whole)
