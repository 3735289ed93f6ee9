"""Data sets by name: ``load("etth1")``. One module a source; README.md has licences and checksums."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from stanhop_app.datasets import etth1, sample

from stanhop_app.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What is known of a data set without reading it."""

    name: str
    description: str
    rows: int
    variates: int
    licence: str
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
    """Return a data set as a frame with a time index and float columns.

    Args:
        name: a key of `DATASETS`.

    Raises:
        OptionError: for an unknown name; the message lists the names.
        DataError: if the file cannot be found or fetched, or its checksum does not match.
    """
    if name not in DATASETS:
        raise OptionError(f"unknown data set {name!r}; choose one of: {', '.join(DATASETS)}.")
    from stanhop_app.data.frame import read_frame

    return read_frame(DATASETS[name].locate())
