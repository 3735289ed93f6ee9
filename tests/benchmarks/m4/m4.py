"""M4 hourly and weekly as in the competition: fitted on its training values, judged on its test values.

    python tests/benchmarks/m4/m4.py [m4-hourly m4-weekly] [--seeds 0,1,2] [--output m4.json]

Options are those that `stanhop train` takes of itself for many series. A cell is one fit; its forecasts with
both parts, one or none fitted again on all rows are judged, and seasonal naive. sMAPE and MASE are means over
the series, OWA their mean relative to Naive2, as in the competition.
"""

import argparse
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from stanhop_app.datasets import DATASETS, load

from stanhop_app import STanHopForecaster
from stanhop_app.data.series import to_series
from stanhop_app.forecasting.suited import grouped, suited_to_series
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.studies.cells import fill, open_results
from stanhop_app.studies.competition import held_out, judged, seasonal_naive

HERE = Path(__file__).parent


def cell(name: str, seed: int) -> dict[str, Any]:
    """One fit and what comes of it."""
    dataset, whole = DATASETS[name], load(name)
    horizon = int(dataset.horizon or 0)
    table, truth = held_out(to_series(whole, id_column="unique_id"), horizon)
    season = int(dataset.season or 1)
    options = {**grouped(suited_to_series(table, horizon)), "split": f"*/{2 * horizon}/0"}
    started, cpu = time.perf_counter(), time.process_time()
    forecaster = STanHopForecaster(
        horizon=horizon, seed=seed, final="all", progress=False, **options
    )
    forecaster.fit(table)
    seconds = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    fitted = forecaster.fitted_
    final = fitted.final
    assert final is not None
    linear = STanHopNet(fitted.network.config).eval()
    linear.deep, linear.linear = fitted.network.deep, final.network.linear
    linear.mixture = fitted.network.mixture
    models: dict[str, Any] = {
        "final all": final,
        "final linear": replace(final, network=linear, kind="linear"),
        "final none": None,
    }
    rows = {}
    for label, model in models.items():
        forecaster.fitted_ = replace(fitted, final=model)
        rows[label] = judged(
            table, truth, values(forecaster.predict(), horizon), season, dataset.naive2
        )
    naive = seasonal_naive(table, season, horizon)
    rows["seasonal naive"] = judged(table, truth, naive, season, dataset.naive2)
    return {
        "options": {**options, "horizon": horizon},
        "models": rows,
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "epochs": fitted.history,
        "mixture": float(fitted.network.mixture.mean()),
    }


def values(forecast: Any, horizon: int) -> np.ndarray:
    """The values of a long forecast, (S, L, 1)."""
    made: np.ndarray = forecast["y"].to_numpy().reshape(-1, horizon, 1)
    return made


def main() -> None:
    """Fill the cells that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["m4-hourly", "m4-weekly"])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=Path, default=HERE / "m4.json")
    asked = parser.parse_args()
    cells = [{"data": n, "seed": int(s)} for s in asked.seeds.split(",") for n in asked.names]
    content = fill(
        open_results(asked.output, "m4", 1, {}), asked.output, cells,
        lambda c, _: cell(str(c["data"]), int(c["seed"])),
        name=lambda c: f"{c['data']} seed {c['seed']}", say=print,
    )  # fmt: skip
    for key, made in content["cells"].items():
        for label, row in made["models"].items():
            print(key, label, {k: round(v, 3) for k, v in row.items()})


if __name__ == "__main__":
    main()
