"""Tables written by any mix of separator, decimal mark, form of dates, encoding, ids, row numbers and marks.

`tests/data/test_mixes.py` reads 200 of them, `tests/benchmarks/reading/reading.py` 2,000.
"""

import csv
import io
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.data.frame import read_frame
from stanhop_app.errors import DataError

FORMS = (
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y%m%d%H%M",
)
WORDS = ("", "NA", "?", "n/a", "-", "NaN")
NAMES = ("01", "0002", "NA", "None", "north east", "größe", "a;b")


@dataclass(frozen=True, kw_only=True)
class Mix:
    """A table as bytes, and what it says."""

    content: bytes
    frame: pd.DataFrame
    ambiguous: bool
    options: dict[str, Any]
    what: str


def mix(seed: int) -> Mix:
    """The table of a seed: two series of 40 to 90 rows."""
    chance = Random(seed)
    rows = chance.randint(40, 90)
    frequency = chance.choice(("h", "D", "30min"))
    begin = pd.Timestamp("2023-01-01") + pd.Timedelta(days=chance.randint(0, 600))
    index = pd.date_range(begin, periods=rows, freq=frequency)
    decimals = chance.choice((0, 1, 2, 3, 4))
    separator, decimal = chance.choice((";,", "\t,", "|,", "|.", ",.", ";.", "\t."))
    names = chance.sample(NAMES, 2)
    numbers = np.random.default_rng(seed).uniform(1, 900, size=(rows, 2)).round(decimals)
    holes = chance.random() < 0.4
    frame = pd.DataFrame(numbers, index=index, columns=names)
    if holes:
        frame.iloc[chance.randint(1, rows - 2), chance.randint(0, 1)] = np.nan
    word = chance.choice(WORDS) if holes else ""
    form, long = chance.choice(FORMS), chance.random() < 0.4
    numbered, quoted = chance.random() < 0.3, chance.random() < 0.3
    encoding = chance.choice(("utf-8", "utf-8-sig", "utf-16", "cp1252"))

    def written(value: float) -> str:
        return word if np.isnan(value) else f"{value:.{decimals}f}".replace(".", decimal)

    stamps = [t.strftime(form) for t in index]
    if long:
        head = ["time", "unique_id", "value"]
        body = [
            [stamp, name, written(value)]
            for name in names
            for stamp, value in zip(stamps, frame[name], strict=True)
        ]
    else:
        head = ["time", *names]
        body = [
            [stamp, *map(written, row)] for stamp, row in zip(stamps, frame.to_numpy(), strict=True)
        ]
    if numbered:
        first = chance.choice((0, 1, 17))
        head, body = ["", *head], [[str(first + i), *row] for i, row in enumerate(body)]
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(
        [head, *body]
    )
    what = (
        f"{separator!r} {decimal!r} {decimals} {form} {encoding} {frequency} {word!r} long={long}"
    )
    return Mix(
        content=text.getvalue().encode(encoding),
        frame=frame[sorted(names)] if long else frame,
        # Three decimals between other marks than commas are as well thousands; the hours of one day below
        # 13 may be those of two.
        ambiguous=(decimals == 3 and separator != ",") or ("/" in form and _one_day(index)),
        options={"missing": "interpolate"} if holes else {},
        what=what,
    )


def _one_day(index: pd.DatetimeIndex) -> bool:
    day = index[0]
    return (
        bool((index.normalize() == day.normalize()).all()) and day.day < 13 and day.day != day.month
    )


def wrong(one: Mix) -> str | None:
    """What is wrong with how a mix is read; None if it is right, or an error where it is ambiguous."""
    try:
        frame = read_frame(io.BytesIO(one.content), **one.options)
    except DataError as error:
        honest = "may mean" in str(error) or "regular both ways" in str(error)
        return None if one.ambiguous and honest else f"{one.what}: {error}"
    if one.ambiguous:
        return f"{one.what}: read, though it is ambiguous"
    wanted = one.frame.interpolate("time")
    if list(frame.columns) != list(wanted.columns):
        return f"{one.what}: columns {list(frame.columns)}"
    if list(frame.index) != list(wanted.index):
        return f"{one.what}: from {frame.index[0]}, not {wanted.index[0]}"
    close = np.allclose(frame.to_numpy(), wanted.to_numpy(), rtol=1e-12, atol=0)
    return None if close else f"{one.what}: other values"
