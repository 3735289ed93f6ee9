"""What covariates are worth: made panels whose noise floor is known, and real tables with and without.

    python tests/benchmarks/covariates/covariates.py [CELLS] [--tables FOLDER] [--output covariates.json]

Real tables are written by `tables.py`. A cell is one fit on a table with the default split, or that of many
series; errors are over the test rows, at origins one horizon apart, as `peers.py` takes them.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from stanhop_app.datasets import load

from stanhop_app import STanHopForecaster
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable, take_any
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.forecasting.suited import grouped, suited_to_series
from stanhop_app.studies.cells import fill, open_results

HERE = Path(__file__).parent
HORIZON = {
    "made": 14,
    "noise": 14,
    "elecdemand": 48,
    "nycflights": 24,
    "etth1": 24,
    "sample": 24,
    "m4-hourly": 48,
}
KINDS = {
    "made": ("without", "known"),
    "noise": ("without", "known"),
    "elecdemand": ("without", "known", "calendar", "both"),
    "nycflights": ("without", "known", "calendar", "both"),
    "etth1": ("without", "calendar"),
    "sample": ("without", "calendar"),
    "m4-hourly": ("without", "calendar"),
}
"""What each table is fitted with: its covariates, cycles of the calendar, both or neither."""
TOLD = {
    "made": {"future_covariates": ["price", "holiday"]},
    "noise": {"future_covariates": ["noise"]},
    "elecdemand": {"future_covariates": ["temperature", "working_day"]},
    "nycflights": {
        "future_covariates": ["scheduled"],
        "past_covariates": ["temp", "wind_speed", "precip", "visib"],
    },
}
"""Covariates of each table."""
MADE, FLOOR = ("made", "noise"), 0.08
"""Tables that are made, and the deviation of what nothing foretells in them."""
SPLIT = {"nycflights": "*/1752/1752"}
"""A fifth of the year each, of the series of a long table; a wide table has the default split."""


def made(series: int = 40, rows: int = 800) -> pd.DataFrame:
    """Daily series of level 1: a weekly shape, a price, a holiday and noise; and a column of pure noise."""
    draws = np.random.default_rng(0)
    days = pd.date_range("2022-01-01", periods=rows, freq="D")
    holiday = (draws.random(rows) < 0.03).astype(int)
    week = 0.3 * np.sin(2 * np.pi * np.arange(rows) / 7)
    parts = []
    for number in range(series):
        price = 10 + 2 * np.sin(0.1 * draws.normal(size=rows).cumsum())
        clean = 1 + week - 0.1 * (price - 10) - 0.5 * holiday
        columns = {
            "id": f"S{number:02d}",
            "time": days,
            "y": clean + FLOOR * draws.normal(size=rows),
            "price": price,
            "holiday": holiday,
            "noise": draws.normal(size=rows),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def table_of(name: str, kind: str, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table with the covariates that are told of it, and what is told."""
    if name in ("etth1", "sample"):
        return load(name).reset_index(), {}
    if name == "m4-hourly":
        return load(name).set_axis(["id", "time", "y"], axis=1), {}
    path = folder / f"{name}.csv"
    frame = made() if name in MADE else pd.read_csv(path, parse_dates=["time"])
    told = TOLD[name] if kind in ("known", "both") else {}
    kept = {"id", "time", "y", "demand", "departures", *(c for part in told.values() for c in part)}
    return frame[[column for column in frame if column in kept]], told


def cell(name: str, kind: str, seed: int, folder: Path) -> dict[str, Any]:
    """One fit, and its errors in scaled units at origins one horizon apart."""
    frame, told = table_of(name, kind, folder)
    horizon, long = HORIZON[name], "id" in frame
    table = take_any(frame, **told, **({"id_column": "id", "joint": False} if long else {}))
    options = suited_options(name, table) if isinstance(table, SeriesTable) and long else {}
    forecaster = STanHopForecaster(
        horizon=horizon,
        seed=seed,
        final="none",
        progress=False,
        calendar_features=kind in ("calendar", "both"),
        **told,
        **options,
    )
    started = time.perf_counter()
    panel = Panel.of_any(table, forecaster.split)
    fitted = forecaster.fit(panel).fitted_
    seconds = time.perf_counter() - started
    error = errors_apart(forecaster, panel)
    known = fitted.known
    effects = None if known is None or known.effects is None else known.effects
    scale = np.array([s.scale[0] for s in panel.scalers])
    return {
        "mse": float(error.square().mean()),
        "mae": float(error.abs().mean()),
        "values": error.numel(),
        "seconds": round(seconds, 1),
        "basis": None if effects is None else effects.basis.kind,
        "gain": None if effects is None else float(np.mean(effects.gains)),
        "floor": float(((FLOOR / scale) ** 2).mean()) if name in MADE else None,
    }


def suited_options(name: str, table: SeriesTable) -> dict[str, Any]:
    """What `stanhop train` takes of itself for many series, with a longer test part of a real table."""
    options = grouped(suited_to_series(table, HORIZON[name]))
    return {**options, "split": SPLIT.get(name, options["split"])}


@torch.no_grad()
def errors_apart(forecaster: STanHopForecaster, panel: Panel) -> torch.Tensor:
    """Errors of the test windows whose origins are whole horizons before the end of their series."""
    fitted = forecaster.fitted_
    horizon, predictor = fitted.horizon, forecaster.predictors()[WHOLE]
    windows = fitted.beside(panel).windows(fitted.lookback, horizon)["test"]
    rows = windows.rows(torch.arange(len(windows)))[:, fitted.lookback].contiguous()
    ends = torch.tensor([last for _, last in panel.spans])
    left = ends[torch.searchsorted(ends, rows, right=True)] - rows
    apart = torch.where(left % horizon == 0)[0]
    pairs = [predictor.pairs(predictor.suited(windows), batch) for batch in apart.split(256)]
    return torch.cat([(truth - forecast).double() for truth, forecast in pairs])


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="*", help="such as made:known; default: all")
    parser.add_argument("--tables", type=Path, default=Path("covariate-tables"))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--output", type=Path, default=HERE / "covariates.json")
    asked = parser.parse_args()
    names = asked.cells or [f"{name}:{kind}" for name, each in KINDS.items() for kind in each]
    cells = [
        {"table": name.split(":")[0], "covariates": name.split(":")[1], "seed": int(seed)}
        for name in names
        for seed in asked.seeds.split(",")
    ]
    content = fill(
        open_results(asked.output, "covariates", 1, {}), asked.output, cells,
        lambda c, _: cell(str(c["table"]), str(c["covariates"]), int(c["seed"]), asked.tables),
        name=lambda c: f"{c['table']}, {c['covariates']}, seed {c['seed']}", say=print,
    )  # fmt: skip
    for key, made_ in content["cells"].items():
        print(key, {k: round(v, 4) if isinstance(v, float) else v for k, v in made_.items()})


if __name__ == "__main__":
    main()
