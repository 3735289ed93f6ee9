"""`STanHopForecaster` on one table of the league, with no option but the horizon.

    python entrants/ours.py FOLDER SEED     # as league.py beside this folder runs it

As `peers.py`: one fit on what lies before the first cut-off (one at every cut-off where there are at most
three), as ``stanhop train`` makes it: what suits the table is taken as the command takes it. Then forecasts
with what was known at each.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from stanhop_app import STanHopForecaster
from stanhop_app.data.series import to_series
from stanhop_app.forecasting.suited import grouped, suited_to, suited_to_series

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


def known_at(table: pd.DataFrame, rest: pd.Series, back: int) -> pd.DataFrame:
    """Rows up to a cut-off that lies ``back`` rows before the end of every series."""
    return table[rest >= back]


def main() -> None:
    """Make the forecasts of all cut-offs."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    table = pd.read_parquet(folder / "table.parquet")
    entry = json.loads((folder / "entry.json").read_text())
    horizon, origins, wide = entry["horizon"], entry["origins"], entry["wide"]
    rest = table.groupby("unique_id").cumcount(ascending=False)

    def shaped(back: int) -> Any:
        known = known_at(table, rest, back)
        if wide:
            frame = known.pivot(index="ds", columns="unique_id", values="y")
            return frame.asfreq(entry["frequency"]).rename_axis(columns=None)
        return to_series(known)

    def trained(known: Any) -> STanHopForecaster:
        suited = grouped(suited_to(known, horizon) if wide else suited_to_series(known, horizon))
        forecaster = STanHopForecaster(horizon=horizon, seed=seed, progress=False, **suited)
        return forecaster.fit(known)

    parts, forecaster = [], trained(shaped(horizon * origins))
    for back in range(horizon * origins, 0, -horizon):
        known = shaped(back)
        if 1 < origins <= 3 and back < horizon * origins:
            forecaster = trained(known)
        points, quantiles = forecaster.predict(known), forecaster.predict_quantiles(known, LEVELS)
        parts.append(long_of(points, quantiles, wide).assign(cutoff=back))
    pd.concat(parts).to_parquet(folder / "made.parquet")
    status = Path("/proc/self/status").read_text()  # rusage would begin with the parent's peak
    (folder / "peak").write_text(next(r for r in status.splitlines() if r.startswith("VmHWM")))


def long_of(points: pd.DataFrame, quantiles: pd.DataFrame, wide: bool) -> pd.DataFrame:
    """A row a series and step: unique_id, ds, point and quantiles."""
    if wide:
        made = points.rename_axis("ds").reset_index().melt("ds", None, "unique_id", "point")
        for level in LEVELS:
            column = quantiles.xs(level, axis=1, level=1)
            made[f"q{level}"] = column[points.columns].to_numpy().T.ravel()
        return made
    made = points.set_axis(["unique_id", "ds", "point"], axis=1)
    rows = quantiles.reindex(pd.MultiIndex.from_frame(made[["unique_id", "ds"]]))
    for level in LEVELS:
        made[f"q{level}"] = rows.xs(level, axis=1, level=1).to_numpy().ravel()
    return made


if __name__ == "__main__":
    main()
