"""What stands in the ``config.json`` of a folder: types, ranges and shapes, checked once, when it is read.

A folder may come from anybody, with checksums that are right. What is checked here is what later code relies
on; the options of networks and of reading are checked by the dataclasses that declare them.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import AllowInfNan, Field, StringConstraints

from stanhop_app.data.frequency import is_weekly
from stanhop_app.data.reading import ReadingConfig, filling
from stanhop_app.data.weekly import Weekly
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import to_json
from stanhop_app.models.config import LONGEST, STanHopConfig
from stanhop_app.options import check_known, options_of

Finite = Annotated[float, AllowInfNan(False)]
Positive = Annotated[float, AllowInfNan(False), Field(gt=0)]
Steps = Annotated[int, Field(ge=1, le=LONGEST)]
Count = Annotated[int, Field(ge=0, le=2**53)]
MOST_SERIES = 2**24
"""Series that a folder may name."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=10_000)]


class Part(pydantic.BaseModel):
    """A JSON object; keys that nothing reads are let through."""

    model_config = pydantic.ConfigDict(strict=True, extra="ignore")


class _Scaler(Part):
    mean: list[Finite]
    scale: list[Positive]


class _Stamp(Part):
    time: Text
    zone: Text | None
    unit: Annotated[str, StringConstraints(pattern="^(s|ms|us|ns)$")]
    name: Text | None
    minutes_before: Annotated[list[Count], Field(max_length=MOST_SERIES)] | None = None
    """Where the rows of a calendar of a week stand, which no frequency rebuilds."""


class _Split(Part):
    train: Count
    validation: Count
    test: Count

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.train <= self.validation <= self.test:
            raise OptionError("the parts of the split are not in order")
        return self


class _Proved(Part):
    """What the table of the training proved of how tables of the kind are written."""

    decimal: Literal[".", ","] | None = None
    day_first: bool | None = None
    time_zone: Text | None = None
    words: Annotated[list[Text], Field(max_length=LONGEST)] | None = None


class _Source(Part):
    data: Text | None = None
    options: ReadingConfig | None = None
    proved: _Proved | None = None
    sha256: Digest | None = None
    season: Steps | None = None
    train_end: Text | None = None
    baselines_sha256: Digest | None = None
    novelty_sha256: Digest | None = None
    outliers_sha256: Digest | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_options(cls, content: Any) -> Any:
        options = content.get("options") if isinstance(content, dict) else None
        if isinstance(options, dict):
            check_known(options, options_of(ReadingConfig), "source.options")
        return content


class _Combination(Part):
    rules: list[Text]
    errors: dict[str, Finite]


class _Metrics(Part):
    split: Text
    warning: Text | None = None
    model: Text = "split"
    scores: dict[str, dict[str, Finite | None]]


class _Forecaster(Part):
    """What runs and exports have in common."""

    columns: Annotated[list[Text], Field(min_length=1, max_length=LONGEST)]
    frequency: Text | None
    context_end: _Stamp | None
    scaler: _Scaler
    source: _Source | None

    @pydantic.model_validator(mode="after")
    def _one_entry_a_column(self) -> Self:
        if len(set(self.columns)) < len(self.columns):
            raise OptionError("two columns have one name")
        for name in ("mean", "scale"):
            if len(getattr(self.scaler, name)) != len(self.columns):
                raise OptionError(f"the scaler's {name} is not one number a column")
        if self.context_end is not None and self.frequency is None:
            raise OptionError("there are time stamps and no frequency")
        if self.frequency is not None and is_weekly(self.frequency):
            Weekly.named(self.frequency)
            if self.context_end is not None and self.context_end.minutes_before is None:
                raise OptionError("a calendar of a week needs the time stamps of its rows")
        return self


class _Series(Part):
    """Many series: what is kept of each, besides numbers."""

    id_name: Text
    ids: Annotated[list[Text], Field(min_length=1, max_length=MOST_SERIES)]
    lengths: Annotated[list[Annotated[int, Field(ge=1, le=2**53)]], Field(max_length=MOST_SERIES)]
    ends: Annotated[
        list[Annotated[int, Field(ge=-(2**62), le=2**62)]], Field(max_length=MOST_SERIES)
    ]
    unit: Annotated[str, StringConstraints(pattern="^(s|ms|us|ns)$")]
    zone: Text | None
    time_name: Text | None
    numbered: bool = False

    @pydantic.model_validator(mode="after")
    def _numbers_are_numbers(self) -> Self:
        if self.numbered and not all(re.fullmatch(r"-?\d{1,20}", name) for name in self.ids):
            raise OptionError("the names of the series are not whole numbers")
        return self


Names = Annotated[list[Text], Field(max_length=LONGEST)]
Numbers = Annotated[list[Finite], Field(max_length=LONGEST)]


class _Effects(Part):
    """What covariates add to values, besides the weights."""

    kind: Literal["plain", "bent"]
    knots: dict[Text, Numbers]
    by_hour: bool
    penalty: Annotated[float, Field(gt=0, le=1e6)]
    pooling: Annotated[float, Field(gt=0, le=1e6)] | None
    gains: Numbers


MOST_WORDS = 2**16
"""Words of one covariate."""


class _Encoder(Part):
    """How covariates are read."""

    future: Names
    past: Names
    static: Names
    categories: dict[Text, Annotated[list[str], Field(max_length=MOST_WORDS)]]
    scaler: _Scaler
    static_scaler: _Scaler
    calendar: list[Literal["day", "week", "year"]]
    holidays: Text | None = None
    reads_ahead: bool = True
    varied: Names

    @pydantic.model_validator(mode="after")
    def _one_entry_a_column(self) -> Self:
        names = [*self.future, *self.past, *self.static]
        if len(set(names)) < len(names) or not set(self.categories) <= set(names):
            raise OptionError("two covariates have one name, or words belong to none")
        if any(len(set(words)) < len(words) or not words for words in self.categories.values()):
            raise OptionError("a covariate has no words, or one twice")
        moving = len(self.future) + len(self.past)
        for scaler, count in ((self.scaler, moving), (self.static_scaler, len(self.static))):
            if {len(scaler.mean), len(scaler.scale)} != {count}:
                raise OptionError("the scales of the covariates are not one a column")
        return self


class _Known(Part):
    """Covariates that a run was trained with."""

    encoder: _Encoder
    lengths: Annotated[list[Count], Field(min_length=1, max_length=MOST_SERIES)]
    effects: _Effects | None


class _Final(Part):
    """What was fitted on all rows."""

    kind: Literal["all", "linear"]
    rows: Count
    steps: Count
    effects: _Effects | None = None


class _Memory(Part):
    """How an external memory is read."""

    steps: Annotated[int, Field(ge=2, le=LONGEST)]
    calendar: bool
    neighbours: Annotated[int, Field(ge=1, le=2**16)]
    association: Text
    sharpness: Annotated[float, Field(gt=0, le=1e6)]
    gain: Finite


class RunFile(_Forecaster):
    """``config.json`` of a run."""

    split: Text
    borders: _Split
    rows: Count
    fingerprint: Digest | None = None
    parameters: dict[str, Any]
    network: STanHopConfig
    combination: _Combination | None
    final: _Final | None = None
    memory: _Memory | None = None
    series: _Series | None = None
    known: _Known | None = None
    history: list[dict[str, Finite]]
    metrics: _Metrics | None
    weights_sha256: Digest

    @pydantic.model_validator(mode="after")
    def _sizes_are_those_of_the_network(self) -> Self:
        network = self.network
        if network.num_variates != len(self.columns):
            raise OptionError("the network has another number of variates than there are columns")
        if self.series is not None:
            named = [self.series.id_name, str(self.series.time_name or "time"), *self.columns]
            if len(set(named)) < len(named) or len(set(self.series.ids)) < len(self.series.ids):
                raise OptionError("two columns or two series have one name")
        if self.borders.test > self.rows:
            raise OptionError("the split has more rows than the table")
        return self


class _ExportParameters(Part):
    horizon: Steps
    lookback: Steps
    association: Text
    split: Text
    missing: Text

    @pydantic.model_validator(mode="after")
    def _missing_is_a_rule(self) -> Self:
        filling(self.missing)
        return self


class ExportFile(_Forecaster):
    """``config.json`` of an export."""

    kind: Text
    seen: Text | None = None
    parameters: _ExportParameters
    sha256: dict[str, Digest]


def check_schema(path: Path, content: Mapping[str, Any], schema: type[pydantic.BaseModel]) -> None:
    """Raise ArtefactError unless a configuration is what its kind must be; the first fault is named."""
    try:
        schema.model_validate_json(to_json(content), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise ArtefactError(f"{path}: damaged ({f'{where}: ' if where else ''}{what}).") from None
    except (ValueError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path}: damaged ({' '.join(str(error).split())}).") from None
