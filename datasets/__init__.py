"""Data sets by name: ``load("etth1")``. One module a source; README.md has licences and checksums."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from stanhop_app.datasets import etth1, exchange_rate, m4, sample

from stanhop_app.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What is known of a data set without reading it."""

    name: str
    description: str
    rows: int
    variates: int
    licence: str
    series: int = 1
    """Series of a long table; 1: a wide one."""
    horizon: int | None = None
    """Steps that its published protocol asks for; None: several are usual."""
    split: str | None = None
    """Split of its published protocol; None: several are usual."""
    season: int | None = None
    """Steps of a season by its published protocol; None: from the frequency."""
    naive2: tuple[float, float] | None = None
    """Published sMAPE and MASE of Naive2, which OWA is relative to; None: there are none."""
    locate: Callable[[], Path]
    """Returns the file, fetching it if need be; verifies its checksum every time."""


DATASETS: dict[str, Dataset] = {
    "etth1": Dataset(
        name="etth1",
        description="Electricity transformer temperature, hourly, 2016-07 to 2018-06",
        rows=17420,
        variates=7,
        licence="CC BY-ND 4.0",
        locate=etth1.locate,
    ),
    "exchange-rate": Dataset(
        name="exchange-rate",
        description="Exchange rates of eight currencies, 7,588 business days from 1990 on",
        rows=7588,
        variates=8,
        licence="none stated",
        locate=exchange_rate.locate,
    ),
    "m4-hourly": Dataset(
        name="m4-hourly",
        description="M4 competition, 414 hourly series of 748 to 1,008 values, made-up dates",
        rows=373372,
        variates=1,
        series=414,
        horizon=48,
        split="*/96/48",
        season=24,
        naive2=(18.383, 2.395),
        licence="none stated",
        locate=m4.HOURLY.locate,
    ),
    "m4-weekly": Dataset(
        name="m4-weekly",
        description="M4 competition, 359 weekly series of 93 to 2,610 values, made-up dates",
        rows=371579,
        variates=1,
        series=359,
        horizon=13,
        split="*/26/13",
        season=1,
        naive2=(9.161, 2.777),
        licence="none stated",
        locate=m4.WEEKLY.locate,
    ),
    "sample": Dataset(
        name="sample",
        description="Weather at LaGuardia airport, hourly, 2013-03 to 2013-07 (shipped inside)",
        rows=3551,
        variates=4,
        licence="CC0",
        locate=sample.locate,
    ),
}


def load(name: str) -> pd.DataFrame:
    """Return a data set: a frame with a time index and float columns, or of many series a long one.

    Args:
        name: a key of `DATASETS`.

    Raises:
        OptionError: for an unknown name; the message lists the names.
        DataError: if the file cannot be found or fetched, or its checksum does not match.
    """
    if name not in DATASETS:
        raise OptionError(f"unknown data set {name!r}; choose one of: {', '.join(DATASETS)}.")
    path = DATASETS[name].locate()
    if DATASETS[name].series > 1:
        table = pd.read_csv(path, dtype={"unique_id": str}, parse_dates=["ds"])
        return table.astype({"y": "float64"})
    from stanhop_app.data.frame import read_frame

    return read_frame(path)
