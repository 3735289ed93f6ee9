"""What stands in the ``config.json`` of a folder: types, ranges and shapes, checked once, when it is read.

A folder may come from anybody, with checksums that are right. What is checked here is what later code relies
on; the options of networks and of reading are checked by the dataclasses that declare them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from stanhop_app.data.frequency import is_weekly
from stanhop_app.data.reading import ReadingConfig, filling
from stanhop_app.data.weekly import Weekly
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import to_json
from stanhop_app.models.config import LONGEST, STanHopConfig
from stanhop_app.training.schema_parts import (
    Count,
    Digest,
    Effects,
    Finite,
    Known,
    Part,
    Scaler,
    Series,
    Source,
    Split,
    Stamp,
    Steps,
    Text,
    Told,
    checked_reading,
)


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
    context_end: Stamp | None
    scaler: Scaler
    source: Source | None
    series: Series | None = None

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
        if self.series is not None:
            named = [self.series.id_name, str(self.series.time_name or "time"), *self.columns]
            if len(set(named)) < len(named) or len(set(self.series.ids)) < len(self.series.ids):
                raise OptionError("two columns or two series have one name")
        return self


class _Final(Part):
    """What was fitted on all rows."""

    kind: Literal["all", "linear"]
    rows: Count
    steps: Count
    effects: Effects | None = None


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
    borders: Split
    rows: Count
    fingerprint: Digest | None = None
    parameters: dict[str, Any]
    network: STanHopConfig
    combination: _Combination | None
    final: _Final | None = None
    memory: _Memory | None = None
    known: Known | None = None
    history: list[dict[str, Finite]]
    metrics: _Metrics | None
    weights_sha256: Digest

    @pydantic.model_validator(mode="after")
    def _sizes_are_those_of_the_network(self) -> Self:
        network = self.network
        if network.num_variates != len(self.columns):
            raise OptionError("the network has another number of variates than there are columns")
        if self.borders.test > self.rows:
            raise OptionError("the split has more rows than the table")
        return self


class _ExportParameters(Part):
    horizon: Steps
    lookback: Steps
    association: Text
    split: Text
    missing: Text | None = None
    """Rule of an export of version 2; it stands in ``reading`` since."""
    reading: ReadingConfig | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_options(cls, content: Any) -> Any:
        return checked_reading(content, "reading", "parameters.reading")

    @pydantic.model_validator(mode="after")
    def _missing_is_a_rule(self) -> Self:
        if self.missing is None and self.reading is None:
            raise OptionError("nothing says how tables are read")
        filling(self.missing or "error")
        return self


class ExportFile(_Forecaster):
    """``config.json`` of an export."""

    kind: Text
    seen: Text | None = None
    holes: bool = False
    known: Told | None = None
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
