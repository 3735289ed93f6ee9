"""M4 hourly and weekly: the series of the competition, with what was to be forecast, as one long table.

The competition's files have a row a series and no dates. Here they are one table (unique_id, ds, y), of which
the last 48 hours or 13 weeks of each series are the competition's test. Stamps are made up: every series
begins at the same time, since only lengths and seasons count for the scores.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stanhop_app.datasets import cache

HOME = "https://raw.githubusercontent.com/Mcompetitions/M4-methods/master/Dataset"
START = np.datetime64("2000-01-03T00", "h")
"""A Monday."""


@dataclass(frozen=True, kw_only=True)
class M4:
    """One part of the competition."""

    name: str
    """In file names: Hourly."""
    hours: int
    """Hours in a step."""
    train: str
    """SHA-256 of the competition's file of training values."""
    test: str
    """SHA-256 of its file of test values."""
    table: str
    """SHA-256 of the long table."""

    def locate(self) -> Path:
        """The verified path of the long table, made in the user's cache on first use.

        Raises:
            DataError: if no source answers, or a file has the wrong checksum.
        """

        def made() -> bytes:
            """The competition's two files."""
            known, asked = (self._rows(part) for part in ("train", "test"))
            return self.long(known, asked)

        return cache.locate(f"m4-{self.name.lower()}.csv", self.table, (made,))

    def long(self, known: dict[str, list[str]], asked: dict[str, list[str]]) -> bytes:
        """The long table as CSV, with numbers as the competition wrote them."""
        text = io.StringIO()
        text.write("unique_id,ds,y\n")
        for name, values in known.items():
            whole = values + asked[name]
            stamps = START + np.arange(len(whole)) * np.timedelta64(self.hours, "h")
            times = np.datetime_as_string(stamps, unit="h" if self.hours < 24 else "D")
            for time, value in zip(times.tolist(), whole, strict=True):
                text.write(f"{name},{time.replace('T', ' ')}{':00' * (self.hours < 24)},{value}\n")
        return text.getvalue().encode()

    def _rows(self, part: str) -> dict[str, list[str]]:
        """Values of every series of one of the two files."""
        name = f"{self.name}-{part}.csv"
        names = [f"{prefix}{name}{ending}" for prefix in ("", "M4-") for ending in ("", ".gz")]
        url = f"{HOME}/{part.capitalize()}/{name}"
        rows = csv.reader(io.StringIO(cache.original(names, getattr(self, part), url).decode()))
        next(rows)
        return {row[0]: [value for value in row[1:] if value] for row in rows}


HOURLY = M4(
    name="Hourly",
    hours=1,
    train="ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f",
    test="71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42",
    table="d15ec3f004048b58499a296f6594f3891a80edc8cb5d4a522e231f2aacc64b0f",
)
WEEKLY = M4(
    name="Weekly",
    hours=168,
    train="d478d3f6ed673e6ed3c2cb0fbed5425f72eedd51318ebebeb0b5ecfcefc37714",
    test="3b2bc4be8e636e802260dcd843ca3c5da40536a1fbe1ecb3229a97dae4f44688",
    table="e3d1eed1fef362c50262c195cda91080e3486eb72db843237f65041eb3d7fc80",
)
