"""Many series: time and memory of an epoch and all forecasts, by the number of series.

    python tests/benchmarks/panels.py 1000 3000 10000

Each number runs in a process of its own; 500 hourly rows a series, made up; options are those that
`stanhop train` takes of itself, but for one epoch.
"""

import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

ROWS = 500


def made(count: int) -> pd.DataFrame:
    """Daily waves of different heights and phases, with noise."""
    generator = np.random.default_rng(0)
    hours = np.arange(ROWS)
    height, phase = generator.gamma(2.0, 10.0, count), generator.uniform(0, 24, count)
    waves = np.sin(2 * np.pi * (hours + phase[:, None]) / 24)
    values = height[:, None] * (2 + waves + 0.3 * generator.normal(size=(count, ROWS)))
    times = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    return pd.DataFrame(
        {
            "unique_id": pd.Categorical.from_codes(
                np.repeat(np.arange(count), ROWS), [f"s{number}" for number in range(count)]
            ),
            "ds": np.tile(times, count),
            "y": values.ravel(),
        }
    )


def once(count: int) -> None:
    """One fit and all forecasts."""
    from stanhop_app import STanHopForecaster
    from stanhop_app.data.series import to_series
    from stanhop_app.forecasting.suited import grouped, suited_to_series

    table = to_series(made(count))
    options = grouped(suited_to_series(table, 24))
    before = time.perf_counter()
    forecaster = STanHopForecaster(horizon=24, max_epochs=1, progress=False, **options)
    forecaster.fit(table)
    fitted = time.perf_counter()
    forecast = forecaster.predict()
    done = time.perf_counter()
    assert len(forecast) == 24 * count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = f"fit {fitted - before:.0f} s, all forecasts {done - fitted:.1f} s"
    print(f"{count:,} series: {seconds}, peak {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "once":
        once(int(sys.argv[2]))
    else:
        for number in sys.argv[1:]:
            subprocess.run([sys.executable, __file__, "once", number], check=True)
