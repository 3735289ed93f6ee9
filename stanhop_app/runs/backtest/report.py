"""Tables and figures of a backtest."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.errors import DataError
from stanhop_app.figures.backtest import (
    beside_figure,
    lines_figure,
    pit_figure,
    reliability_figure,
)
from stanhop_app.forecasting.intervals.choice import LEVELS
from stanhop_app.runs.backtest.record import ENDS, Backtest
from stanhop_app.runs.backtest.scores import scores, single
from stanhop_app.runs.significance import Gain, overlap_of, paired

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DRAWN = 40
"""Cut-offs whose forecasts are drawn, the latest."""
SMOOTHED = 10
"""Cut-offs over which coverage over time is averaged, at most; a fifth of all where that is less."""


def models(made: Backtest) -> list[str]:
    """Names of the models, in their order."""
    return list(dict.fromkeys(made.table["model"].astype(str)))


def leader(made: Backtest) -> str:
    """The model that takes in most of what came, which is asked about: named, not chosen by its scores."""
    ours = [name for name in models(made) if name.startswith("STanHop-Net")]
    return ours[-1] if ours else models(made)[0]


def losses(made: Backtest, score: str = "mse") -> pd.DataFrame:
    """Mean of a score over the values of every cut-off, a column a model, in order of time."""
    parts = single(made)[score]
    table = made.table
    mean = parts.groupby([table["cutoff"], table["model"].astype(str)], observed=True).mean()
    return mean.unstack()[models(made)].sort_index()


def gains(made: Backtest, score: str = "mse") -> dict[str, Gain]:
    """How much lower the `leader`'s score is than that of every other model, with what luck may do.

    Empty where there are too few cut-offs to tell.
    """
    table, first = losses(made, score), leader(made)
    ends = made.table.groupby("cutoff", observed=True)["time"].max().sort_index()
    overlap = overlap_of(*(pd.DatetimeIndex(side).asi8 for side in (ends.index, ends)))
    told = {}
    for name in table.columns:
        if name != first:
            try:
                told[name] = paired(table[first].to_numpy(), table[name].to_numpy(), overlap)
            except DataError:
                return {}
    return told


def gain_table(made: Backtest, score: str = "mse") -> pd.DataFrame:
    """The same as a table: the gain and its interval in percent."""
    rows = {
        name: {
            "better by %": 100 * gain.gain,
            "from": 100 * gain.low,
            "to": 100 * gain.high,
            "p": gain.p,
        }
        for name, gain in gains(made, score).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def tables(made: Backtest) -> dict[str, pd.DataFrame]:
    """All tables of the report, by heading."""
    first = leader(made)
    told = {"Scores, scaled units": scores(made).rename_axis(None)}
    beside = gain_table(made)
    if len(beside):
        told[f"Gain of {first} in squared error, over"] = beside
        told[f"Gain of {first} in CRPS, over"] = gain_table(made, "crps")
    for name in ("series", "variate"):
        if name in made.table and made.table[name].nunique() > 1:
            told[f"{first} by {name}"] = _only(scores(made, [name]), first)
    weekdays = _only(scores(made, ["weekday"]), first).sort_index()
    told[f"{first} by weekday of the target"] = weekdays.rename(index=dict(enumerate(WEEKDAYS)))
    return told


def _only(table: pd.DataFrame, model: str) -> pd.DataFrame:
    return pd.DataFrame(table.xs(model, level="model")).rename_axis(None)


def reliability(made: Backtest) -> pd.DataFrame:
    """Share of truths at or below each quantile: index level, a column a model."""
    actual = made.table["actual"]
    known = actual.notna().to_numpy()
    below = (actual.to_numpy()[:, None] <= made.table[list(ENDS)].to_numpy())[known]
    mean = pd.DataFrame(below, columns=list(LEVELS)).groupby(
        made.table["model"].astype(str).to_numpy()[known]
    )
    return mean.mean()[list(LEVELS)].T.reindex(columns=models(made))


def pit(made: Backtest, model: str) -> pd.DataFrame:
    """Density of the truths between each two quantiles of a model, index where each bin ends."""
    below = reliability(made)[model].to_numpy()
    edges = np.array([0.0, *LEVELS, 1.0])
    shares = np.diff(np.concatenate([[0.0], below, [1.0]]))
    return pd.DataFrame({"density": shares / np.diff(edges)}, index=pd.Index(edges[1:]))


def coverage_over_time(made: Backtest, coverage: int = 80) -> pd.DataFrame:
    """Share of truths within an interval, a running mean over the cut-offs, a column a model."""
    table = losses(made, f"coverage_{coverage}")
    span = max(min(SMOOTHED, len(table) // 5), 1)
    return table.rolling(span).mean().dropna(how="all")


def by(made: Backtest, group: str, score: str) -> pd.DataFrame:
    """A score by group, a column a model."""
    return scores(made, [group])[score].unstack("model").sort_index()[models(made)]


def figures(made: Backtest) -> list[go.Figure]:
    """All figures of the report."""
    first = leader(made)
    ours = [name for name in models(made) if name.startswith("STanHop-Net")]
    return [
        beside(made, first),
        lines_figure(
            by(made, "step", "mae"), x="step of the horizon", y="MAE, scaled", title="Error by step"
        ),
        lines_figure(
            by(made, "hour", "mae"), x="hour of the target", y="MAE, scaled", title="Error by hour"
        ),
        reliability_figure(reliability(made)[ours], title="Calibration"),
        pit_figure(pit(made, first), title=f"Where truths lay among the quantiles of {first}"),
        lines_figure(
            by(made, "step", "width_80")[ours],
            x="step of the horizon",
            y="scaled",
            title="Width of the 80% interval by step",
        ),
        lines_figure(
            coverage_over_time(made)[ours],
            x="cut-off",
            y="share",
            title="Coverage of the 80% interval over time, running mean",
        ),
    ]


def beside(
    made: Backtest, model: str, variate: str | None = None, series: str | None = None
) -> go.Figure:
    """The latest forecasts of a model beside what came, of one variate of one series; None: the first."""
    table = made.table[made.table["model"] == model]
    where = ""
    if "series" in table:
        name = series or str(table["series"].iloc[0])
        table, where = table[table["series"] == name], f"{name}, "
    chosen = variate or str(table["variate"].iloc[-1])
    own = table[table["variate"] == chosen]
    latest = own["cutoff"].drop_duplicates().iloc[-DRAWN:]
    parts = [own[own["cutoff"] == cutoff].set_index("time") for cutoff in latest]
    actual = pd.concat([part["actual"] for part in parts])
    actual = actual[~actual.index.duplicated()].sort_index()
    title = f"{where}{chosen}: the last {len(parts)} forecasts by {model}"
    return beside_figure(actual, [part["forecast"] for part in parts], title=title, unit=chosen)
