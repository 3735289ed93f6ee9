"""Covariates as a network and a regression read them: numbers about 1 in size, a row a time step.

Nothing here needs torch.

Shape letters: M rows, K features, S series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import HARMONICS, waves
from stanhop_app.data.covariates import Covariates, Roles
from stanhop_app.data.holidays import COLUMNS, holiday_flags
from stanhop_app.data.scaler import Scaler, check_near
from stanhop_app.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Numbers are standardised by the training rows of all series, words become one feature each."""

    roles: Roles
    scaler: Scaler
    """Mean and scale of all columns that change with time, in the order of `Roles.moving`."""
    static_scaler: Scaler
    """Mean and scale of those that do not, in the order of `Roles.static`; words have mean 0, scale 1."""
    calendar: tuple[str, ...] = ()
    """Cycles that time stamps are read for (`stanhop_app.data.calendar`)."""
    holidays: str | None = None
    """Place whose holidays count (`stanhop_app.data.holidays`)."""
    reads_ahead: bool = True
    """Whether a network reads what is known ahead; not so where validation finds no effect of it."""
    varied: tuple[str, ...] = field(default=())
    """Columns of numbers that had more than `FEW` values among the training rows."""

    @classmethod
    def fit(
        cls,
        covariates: Covariates,
        rows: np.ndarray,
        calendar: Sequence[str] = (),
        holidays: str | None = None,
    ) -> "Encoder":
        """The encoder of some training rows.

        Args:
            covariates: of all series.
            rows: (n, K) training rows, in original units.
            calendar: cycles.
            holidays: place.
        """
        roles, static = covariates.roles, covariates.static.to_numpy(dtype=np.float64)
        numbers = [c for c in roles.moving if c not in roles.categories]
        seen = {c: np.unique(rows[:, roles.moving.index(c)]) for c in numbers}
        varied = tuple(c for c, values in seen.items() if (~np.isnan(values)).sum() > FEW)
        return cls(
            roles=roles,
            scaler=_but_words(Scaler.fit(rows), roles.moving, roles),
            static_scaler=_but_words(Scaler.fit(static), roles.static, roles),
            calendar=tuple(calendar),
            holidays=holidays,
            varied=varied,
        )

    @property
    def num_future(self) -> int:
        """Features that are known ahead; they stand before the others."""
        own = sum(self._width(column) for column in self.roles.future)
        own += 0 if self.holidays is None else COLUMNS
        return own + sum(2 * HARMONICS[cycle] for cycle in self.calendar)

    @property
    def num_ahead(self) -> int:
        """Features known ahead that a network reads."""
        return self.num_future if self.reads_ahead else 0

    @property
    def num_past(self) -> int:
        """Features that are known up to now only."""
        return sum(self._width(column) for column in self.roles.past)

    @property
    def num_static(self) -> int:
        """Features of a series."""
        return sum(self._width(column) for column in self.roles.static)

    def _width(self, column: str) -> int:
        words = self.roles.categories.get(column)
        return 1 if words is None else len(words)

    def future_columns(self) -> dict[str, slice]:
        """Features of each column that is known ahead, and of holidays, which stand behind them."""
        slices, start = {}, 0
        for column in self.roles.future:
            slices[column] = slice(start, start + self._width(column))
            start += self._width(column)
        if self.holidays is not None:
            slices["holidays"] = slice(start, start + COLUMNS)
        return slices

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """(M, K) float32: covariates known ahead, holidays, the calendar, covariates of the past.

        What is not known is 0, the mean of the training rows.
        """
        values = frame.to_numpy(dtype=np.float64)
        scaled = self.scaler.transform(values)
        check_near(scaled, values, self.roles.moving)
        columns = {c: scaled[:, i] for i, c in enumerate(self.roles.moving)}
        parts, index = [self._features(c, columns[c]) for c in self.roles.future], frame.index
        if (self.calendar or self.holidays) and not isinstance(index, pd.DatetimeIndex):
            raise DataError("cycles of the calendar and holidays need rows with time stamps.")
        if self.holidays is not None:
            parts.append(holiday_flags(pd.DatetimeIndex(index), self.holidays))
        parts += [waves(pd.DatetimeIndex(index), cycle) for cycle in self.calendar]
        parts += [self._features(c, columns[c]) for c in self.roles.past]
        empty = np.zeros((len(frame), 0))
        return np.nan_to_num(np.concatenate([empty, *parts], axis=1)).astype(np.float32)

    def encode_static(self, static: pd.DataFrame) -> np.ndarray:
        """(S, k) float32 of the covariates of every series; a word that training did not see is all zeros."""
        scaled = self.static_scaler.transform(static.to_numpy(dtype=np.float64))
        parts = [self._features(c, scaled[:, i]) for i, c in enumerate(self.roles.static)]
        empty = np.zeros((len(static), 0))
        return np.nan_to_num(np.concatenate([empty, *parts], axis=1)).astype(np.float32)

    def _features(self, column: str, values: np.ndarray) -> np.ndarray:
        words = self.roles.categories.get(column)
        if words is None:
            return values[:, None]
        return (values[:, None] == np.arange(len(words))).astype(np.float32)

    def matched(self, covariates: Covariates) -> Covariates:
        """Covariates of another table, their words by the codes of the training.

        Raises:
            DataError: for other columns, and for a word that training did not see in a column that changes
                with time.
        """
        given, own = covariates.roles, self.roles
        if given == own:
            return covariates
        if (set(given.future), set(given.past), set(given.static)) != (
            set(own.future),
            set(own.past),
            set(own.static),
        ):
            raise DataError(
                f"the covariates differ from the trained ones: {_told(own)}; this table was read with "
                f"{_told(given)} (--future-covariates, --past-covariates, --static-covariates)."
            )
        frame = covariates.frame[list(own.moving)].copy()
        static = covariates.static[list(own.static)].copy()
        for column in own.names:
            kinds = (column in own.categories, column in given.categories)
            if kinds == (False, False):
                continue
            table = static if column in own.static else frame
            table[column] = _recoded(table[column], column, own, given)
        return replace(covariates, roles=own, frame=frame, static=static)

    def as_json(self) -> dict[str, Any]:
        """What `Encoder.restored` makes one from; JSON values."""
        roles = self.roles
        return {
            "future": list(roles.future),
            "past": list(roles.past),
            "static": list(roles.static),
            "categories": {name: list(words) for name, words in roles.categories.items()},
            "scaler": {"mean": list(self.scaler.mean), "scale": list(self.scaler.scale)},
            "static_scaler": {
                "mean": list(self.static_scaler.mean),
                "scale": list(self.static_scaler.scale),
            },
            "calendar": list(self.calendar),
            "holidays": self.holidays,
            "reads_ahead": self.reads_ahead,
            "varied": list(self.varied),
        }

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> "Encoder":
        """The encoder that a folder keeps."""
        roles = Roles(
            future=tuple(kept["future"]),
            past=tuple(kept["past"]),
            static=tuple(kept["static"]),
            categories={name: tuple(words) for name, words in kept["categories"].items()},
        )
        scalers = {
            name: Scaler(**{k: tuple(map(float, v)) for k, v in kept[name].items()})
            for name in ("scaler", "static_scaler")
        }
        calendar, varied = tuple(kept["calendar"]), tuple(kept["varied"])
        if not set(calendar) <= HARMONICS.keys() or not set(varied) <= set(roles.moving):
            raise DataError("the cycles or columns of the covariates are none that there are.")
        return cls(
            roles=roles,
            **scalers,
            calendar=calendar,
            holidays=kept.get("holidays"),
            reads_ahead=bool(kept.get("reads_ahead", True)),
            varied=varied,
        )


FEW = 8
"""Different values up to which a column of numbers counts as one of steps, not of a scale."""


def _but_words(scaler: Scaler, columns: Sequence[str], roles: Roles) -> Scaler:
    """A scaler that leaves codes of words as they are."""
    words = [column in roles.categories for column in columns]
    return Scaler(
        mean=tuple(0.0 if word else m for m, word in zip(scaler.mean, words, strict=True)),
        scale=tuple(1.0 if word else s for s, word in zip(scaler.scale, words, strict=True)),
    )


def _recoded(codes: pd.Series, column: str, own: Roles, given: Roles) -> pd.Series:
    """Codes of one table's words as codes of the training's."""
    trained = own.categories.get(column)
    words = given.categories.get(column)
    if trained is None or words is None:
        kinds = ("numbers", "words") if trained is None else ("words", "numbers")
        raise DataError(
            f"covariate {column!r} held {kinds[0]} in the training's table and holds {kinds[1]} in this one."
        )
    place = {word: float(code) for code, word in enumerate(trained)}
    present = [words[int(code)] for code in sorted(codes.dropna().unique())]
    new = [word for word in present if word not in place]
    if new and column in own.moving:
        raise DataError(
            f"covariate {column!r} holds {new[0]!r}, which the training's table does not; it knows "
            f"{', '.join(map(repr, trained[:8]))}."
        )
    mapping = {float(code): place.get(word, -1.0) for code, word in enumerate(words)}
    return codes.map(mapping)


def _told(roles: Roles) -> str:
    parts = {"future": roles.future, "past": roles.past, "static": roles.static}
    return "; ".join(f"{k} {', '.join(v)}" for k, v in parts.items() if v) or "none"
