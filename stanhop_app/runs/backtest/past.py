"""Single cut-offs of a backtest: where a model missed most, and what it said there beside what came."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.errors import OptionError
from stanhop_app.figures.forecast import forecast_figure
from stanhop_app.figures.page import model_styles
from stanhop_app.forecasting.intervals.choice import LEVELS
from stanhop_app.runs.backtest.record import Backtest, level_name

BEFORE = 5
"""Horizons of history that are drawn, as far as the backtest holds what came."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One variate of one series in a backtest."""

    variate: str
    series: str | None = None
    """None: of one wide table."""

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of it.

        Raises:
            OptionError: if there are none.
        """
        kept = table[table["variate"].astype(str) == self.variate]
        if self.series is not None:
            kept = kept[kept["series"].astype(str) == self.series]
        if kept.empty:
            raise OptionError(f"the backtest has no {self.series or ''} {self.variate}.")
        return kept

    def __str__(self) -> str:
        return self.variate if self.series is None else f"{self.series}, {self.variate}"


def by_cutoff(made: Backtest, place: Place) -> pd.DataFrame:
    """Mean absolute error at every cut-off in the units of the table, a column a model, in order of time.

    Truths that are not known are left out; cut-offs without any are too.
    """
    table = place.of(made.table)
    missed = (table["actual"] - table["forecast"]).abs()
    names = table["model"].astype(str)
    mean = missed.groupby([table["cutoff"], names], observed=True).mean().unstack()
    order = list(dict.fromkeys(names))
    return mean[order].dropna(how="all").sort_index()


def worst(made: Backtest, place: Place, model: str) -> pd.DataFrame:
    """Cut-offs by the error of a model, the largest first.

    Returns:
        Index "cutoff"; "error" in the units of the table, the "best other" model there and "its error".
    """
    errors = by_cutoff(made, place).dropna(subset=[model])
    others = errors.drop(columns=model)
    told = pd.DataFrame({"error": errors[model]})
    if len(others.columns):
        told["best other"] = others.idxmin(axis=1)
        told["its error"] = others.min(axis=1)
    return told.sort_values("error", ascending=False, kind="stable")


def window_figure(made: Backtest, place: Place, model: str, cutoff: pd.Timestamp) -> go.Figure:
    """What a model said at one cut-off, with bands, beside what came and what the other models said.

    The history is what came before as far as it was a target of other cut-offs: a backtest keeps no more.

    Raises:
        OptionError: if the model was not asked at that cut-off.
    """
    table = place.of(made.table)
    names = table["model"].astype(str)
    at = table["cutoff"] == cutoff
    own = table[at & (names == model)].set_index("time").sort_index()
    if own.empty:
        raise OptionError(f"{model} made no forecast at {cutoff}.")
    came = table.set_index("time")["actual"]
    came = came[~came.index.duplicated()].sort_index()
    before = came[came.index <= cutoff]
    steps = int(made.about["horizon"])
    column = [place.variate]
    return forecast_figure(
        before.iloc[-BEFORE * steps :].to_frame(place.variate),
        own[["forecast"]].set_axis(column, axis=1),
        actual=own[["actual"]].set_axis(column, axis=1),
        bands={
            f"{coverage}%": (
                own[[level_name(low)]].set_axis(column, axis=1),
                own[[level_name(high)]].set_axis(column, axis=1),
            )
            for coverage, (low, high) in _ends().items()
        },
        others={
            name: (
                table[at & (names == name)]
                .set_index("time")[["forecast"]]
                .set_axis(column, axis=1),
                line,
            )
            for name, line in model_styles(list(dict.fromkeys(names)), model).items()
            if name != model
        },
        title=f"{place}: {steps} steps after {cutoff}, {model} beside what came",
    )


def _ends() -> dict[int, tuple[float, float]]:
    """The quantiles of central intervals, by coverage, the widest first; 50% is too busy to be drawn."""
    lower = [level for level in LEVELS if level < 0.25]
    return {round(100 * (1 - 2 * level)): (level, float(np.round(1 - level, 6))) for level in lower}
