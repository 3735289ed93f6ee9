"""Pieces of the ``config.json`` of folders: types, ranges and shapes (`stanhop_app.training.schema`)."""

import re
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import AllowInfNan, Field, StringConstraints

from stanhop_app.data.reading import ReadingConfig
from stanhop_app.errors import OptionError
from stanhop_app.models.config import LONGEST
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


class Scaler(Part):
    mean: list[Finite]
    scale: list[Positive]


class Stamp(Part):
    time: Text
    zone: Text | None
    unit: Annotated[str, StringConstraints(pattern="^(s|ms|us|ns)$")]
    name: Text | None
    minutes_before: Annotated[list[Count], Field(max_length=MOST_SERIES)] | None = None
    """Where the rows of a calendar of a week stand, which no frequency rebuilds."""


class Split(Part):
    train: Count
    validation: Count
    test: Count

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.train <= self.validation <= self.test:
            raise OptionError("the parts of the split are not in order")
        return self


class Proved(Part):
    """What the table of the training proved of how tables of the kind are written."""

    decimal: Literal[".", ","] | None = None
    day_first: bool | None = None
    time_zone: Text | None = None
    words: Annotated[list[Text], Field(max_length=LONGEST)] | None = None


def checked_reading(content: Any, key: str, where: str) -> Any:
    """An object whose options of reading are all known; ``where`` is what a message calls them."""
    options = content.get(key) if isinstance(content, dict) else None
    if isinstance(options, dict):
        check_known(options, options_of(ReadingConfig), where)
    return content


class Source(Part):
    data: Text | None = None
    options: ReadingConfig | None = None
    proved: Proved | None = None
    sha256: Digest | None = None
    season: Steps | None = None
    train_end: Text | None = None
    baselines_sha256: Digest | None = None
    novelty_sha256: Digest | None = None
    outliers_sha256: Digest | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_options(cls, content: Any) -> Any:
        return checked_reading(content, "options", "source.options")

    @pydantic.model_validator(mode="after")
    def _there_or_not(self) -> Self:
        """What a training writes is there or is not there: it never is ``null``."""
        for name in self.model_fields_set - {"data", "options", "proved"}:
            if getattr(self, name) is None:
                raise OptionError(f"source.{name} is null")
        return self


class Series(Part):
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


class Effect(Part):
    """What covariates add to values, besides the weights."""

    kind: Literal["plain", "bent"]
    knots: dict[Text, Numbers]
    by_hour: bool


class Effects(Effect):
    """The same with how it was fitted."""

    penalty: Annotated[float, Field(gt=0, le=1e6)]
    pooling: Annotated[float, Field(gt=0, le=1e6)] | None
    gains: Numbers


MOST_WORDS = 2**16
"""Words of one covariate."""


class Encoder(Part):
    """How covariates are read."""

    future: Names
    past: Names
    static: Names
    categories: dict[Text, Annotated[list[str], Field(max_length=MOST_WORDS)]]
    scaler: Scaler
    static_scaler: Scaler
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


class Beside(Part):
    """Covariates that a forecaster was fitted with."""

    encoder: Encoder
    lengths: Annotated[list[Count], Field(min_length=1, max_length=MOST_SERIES)]


class Known(Beside):
    """Covariates of a run, with how their effects were fitted."""

    effects: Effects | None


class Told(Beside):
    """Covariates of an export."""

    effects: Effect | None
