"""Many series as forecasting competitions judge them: the last horizon of each is held out, and forecast.

References:
    Makridakis et al., International Journal of Forecasting 36 (2020): sMAPE and MASE are means over the
    series, OWA the mean of both relative to Naive2.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.covariates import firsts, rows_of
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.forecasting.suited import grouped, suited_to_series
from stanhop_app.studies.cells import Cell, fill, open_results, trained_cells

KIND, VERSION = "competition", 1


def run_competition(
    table: SeriesTable,
    *,
    horizons: Sequence[int],
    seeds: Sequence[int],
    season: int,
    naive2: tuple[float, float] | None,
    options: Mapping[str, Any],
    results: Path | None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells that are missing in a results file, one a horizon and seed, and return its content.

    Args:
        table: many series without covariates.
        horizons: steps held out of the end of each series, and forecast.
        seeds: of the network.
        season: of seasonal naive, and of the errors that MASE divides by.
        naive2: sMAPE and MASE of Naive2, which OWA is relative to; None: no OWA.
        options: of `STanHopForecaster`, beside those that suit the series (`suited_to_series`).
        results: JSON file; None keeps none.
        say: told of every cell that begins.

    Raises:
        ArtefactError: if the file holds results of other options or other data.
        DataError: if the series have covariates, or one is no longer than the horizon.
    """
    if not (horizons and seeds):
        raise OptionError("horizons and seeds must name at least one each.")
    if table.covariates is not None:
        raise DataError("a benchmark of many series takes no covariates; leave them out.")
    if table.frame.isna().any(axis=None):
        raise DataError(
            "a benchmark of many series takes no holes; fill them (missing, --missing)."
        )
    digest = Panel.of_series(table, "4/1/0").fingerprint
    identity = {"options": dict(options), "season": season, "data_sha256": digest}

    def make(cell: Cell, folder: Path | None) -> dict[str, Any]:
        started, horizon = time.perf_counter(), int(cell["horizon"])
        known, truth = held_out(table, horizon)
        forecaster = _forecaster(known, horizon, {**options, "seed": int(cell["seed"])})
        forecaster.fit(known, run_folder=folder, resume=True)
        made = forecaster.predict()
        assert isinstance(made, pd.DataFrame)
        shape = (len(known.ids), horizon, len(known.frame.columns))
        forecasts = {
            WHOLE: made.iloc[:, 2:].to_numpy(dtype=np.float64).reshape(shape),
            "seasonal naive": seasonal_naive(known, season, horizon),
        }
        return {
            "models": {
                name: judged(known, truth, forecast, season, naive2)
                for name, forecast in forecasts.items()
            },
            "epochs": len(forecaster.history_),
            "seconds": round(time.perf_counter() - started, 1),
        }

    return fill(
        open_results(results, KIND, VERSION, identity),
        results,
        [{"horizon": horizon, "seed": seed} for horizon in horizons for seed in seeds],
        make,
        name=lambda cell: "horizon {horizon}, seed {seed}".format(**cell),
        say=say,
    )


def _forecaster(known: SeriesTable, horizon: int, options: Mapping[str, Any]) -> STanHopForecaster:
    """The forecaster that suits the series, where nothing else is said; nothing is held out of it again."""
    suited = {**grouped(suited_to_series(known, horizon)), "split": f"*/{2 * horizon}/0"}
    own = {name: value for name, value in options.items() if value is not None}
    return STanHopForecaster(horizon=horizon, progress=False, **{**suited, **own})


def held_out(table: SeriesTable, horizon: int) -> tuple[SeriesTable, np.ndarray]:
    """The series without their last horizon, and those (S, L, C).

    Raises:
        DataError: if a series is no longer than the horizon.
    """
    spans, values = table.spans(), table.frame.to_numpy(dtype=np.float64)
    for name, (first, last) in zip(table.ids, spans, strict=True):
        if last - first <= horizon:
            raise DataError(
                f"series {name!r} has {last - first} rows, and the last {horizon} are held out; take a "
                "smaller horizon (--horizons), or leave it out."
            )
    kept = rows_of([(first, last - horizon) for first, last in spans])
    known = replace(
        table,
        frame=table.frame.iloc[kept],
        starts=firsts([last - first - horizon for first, last in spans]),
    )
    return known, np.stack([values[last - horizon : last] for _, last in spans])


def seasonal_naive(known: SeriesTable, season: int, horizon: int) -> np.ndarray:
    """The last season of each series, repeated: (S, L, C)."""
    values = known.frame.to_numpy(dtype=np.float64)
    steps = np.arange(horizon) % season
    rows = []
    for first, last in known.spans():
        own = values[first:last]
        rows.append(own[-season:][steps] if len(own) >= season else np.repeat(own[-1:], horizon, 0))
    return np.stack(rows)


def judged(
    known: SeriesTable,
    truth: np.ndarray,
    forecast: np.ndarray,
    season: int,
    naive2: tuple[float, float] | None = None,
) -> dict[str, float]:
    """SMAPE in percent, MASE and, relative to Naive2, OWA of forecasts (S, L, C): means over the series.

    A series that does not change from season to season has no MASE, and is left out of its mean.
    """
    values = known.frame.to_numpy(dtype=np.float64)
    naive = np.array(
        [
            np.abs(values[a + season : b] - values[a : b - season]).mean()
            if b - a > season
            else np.nan
            for a, b in known.spans()
        ]
    )
    error = np.abs(truth - forecast)
    size = np.maximum(np.abs(truth) + np.abs(forecast), 1e-300)
    smape = float((200 * error / size).mean())
    mase = float(np.nanmean(error.mean((1, 2)) / np.where(naive > 0, naive, np.nan)))
    owa = {} if naive2 is None else {"owa": (smape / naive2[0] + mase / naive2[1]) / 2}
    return {"smape": smape, "mase": mase, **owa}


def competition_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row a horizon and model, means over the seeds; and how many there were."""
    rows: dict[tuple[int, str], list[dict[str, float]]] = {}
    for cell in trained_cells(content):
        for name, made in cell["models"].items():
            rows.setdefault((cell["horizon"], name), []).append(made)
    table = pd.DataFrame(
        {
            key: {**pd.DataFrame(made).mean().to_dict(), "seeds": float(len(made))}
            for key, made in rows.items()
        }
    ).T
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["horizon", "model"])
    return table
