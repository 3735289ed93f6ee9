"""What a backtest keeps: one Parquet table of forecasts with their dates, and what they are measured by.

A row is one value of one forecast::

    series  variate  cutoff  time  step  model  actual  forecast  ql0.025 ... ql0.975

"series" is left out of one wide table. Values are in the units of the table; quantiles rise with their level.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stanhop_app.data.panel import Panel
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import open_plain, to_json, write_atomic
from stanhop_app.forecasting.intervals.choice import LEVELS

KIND, VERSION = "backtest", 1
MOST_VALUES, MOST_COLUMNS = 2**26, 64
"""Rows and columns of a file at most."""
LARGEST_UNIT = 1e300
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError,
           pa.ArrowException, RecursionError)  # fmt: skip
"""What libraries raise of a file that somebody else made."""
ABOUT = b"stanhop"
"""Key of the file's metadata under which `Backtest.about` stands."""
NAMED = ("variate", "model")
"""Columns of words, which are kept as numbers of a list."""
COLUMNS = ("variate", "cutoff", "time", "step", "model", "actual", "forecast")


def level_name(level: float) -> str:
    """The column of a quantile."""
    return f"ql{level:.10g}"


ENDS = tuple(level_name(level) for level in LEVELS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Backtest:
    """Forecasts beside what came."""

    table: pd.DataFrame
    """The rows, see above."""
    about: Mapping[str, Any]
    """What they are measured by: "units" by series and variate (mean, scale, seasonal error), the horizon,
    the stride, and what made the forecasts; JSON values."""

    def save(self, path: Path) -> None:
        """Write it as one Parquet file, atomically."""
        table = pa.Table.from_pandas(self.table, preserve_index=False)
        head = {"kind": KIND, "version": VERSION, **self.about}
        told = {**(table.schema.metadata or {}), ABOUT: to_json(head).encode()}
        write_atomic(path, lambda part: pq.write_table(table.replace_schema_metadata(told), part))

    @classmethod
    def load(cls, path: Path) -> "Backtest":
        """Read what `save` wrote.

        Raises:
            ArtefactError: if it is missing, damaged, or no backtest.
        """
        try:
            with open_plain(path) as file:
                table, about = _read(pq.ParquetFile(file))
        except FileNotFoundError:
            raise ArtefactError(f"{path}: no such file.") from None
        except DAMAGED as error:
            raise ArtefactError(f"{path}: damaged ({error!r}).") from None
        try:
            _check(path, table, about)
        except DAMAGED as error:
            if isinstance(error, ArtefactError):
                raise
            raise ArtefactError(f"{path}: damaged ({error!r}).") from None
        about.pop("kind"), about.pop("version")
        return cls(table=table, about=about)


def _read(file: pq.ParquetFile) -> tuple[pd.DataFrame, Any]:
    """The columns that are known, and what the footer tells."""
    rows, names = file.metadata.num_rows, file.schema_arrow.names
    if rows > MOST_VALUES or file.metadata.num_columns > MOST_COLUMNS:
        raise OptionError("it is larger than any that is written")
    if len(set(names)) < len(names):
        raise OptionError("two columns have one name")
    raw = (file.schema_arrow.metadata or {}).get(ABOUT)
    known = [name for name in ("series", *COLUMNS, *ENDS) if name in names]
    table = file.read(columns=known).to_pandas(ignore_metadata=True)
    return table, {} if raw is None else json.loads(raw)


def is_backtest(path: Path) -> bool:
    """Whether a file says that it is one; the forecasts are not read."""
    try:
        with open_plain(path) as file:
            return ABOUT in (pq.ParquetFile(file).schema_arrow.metadata or {})
    except DAMAGED:
        return False


def _check(path: Path, table: pd.DataFrame, about: Any) -> None:
    """Refuse what is no backtest.

    Raises:
        ArtefactError: if it is none.
    """
    if not isinstance(about, dict) or about.get("kind") != KIND:
        raise ArtefactError(f"{path}: holds no backtest of stanhop.")
    if about.get("version") != VERSION:
        raise ArtefactError(f"{path}: is of another version of stanhop; make it anew.")
    missing = [name for name in (*COLUMNS, *ENDS) if name not in table.columns]
    if missing:
        raise ArtefactError(f"{path}: damaged (no column {missing[0]}).")
    numbers = all(table[n].dtype.kind == "f" for n in ("actual", "forecast", *ENDS))
    dates = all(table[n].dtype.kind == "M" for n in ("cutoff", "time"))
    if not (numbers and dates and table["step"].dtype.kind in "iu" and len(table)):
        raise ArtefactError(f"{path}: damaged (its columns are of other kinds).")
    words = [name for name in ("series", *NAMED) if name in table.columns]
    for name in words:
        if table[name].isna().any() or any(not isinstance(w, str) for w in table[name].unique()):
            raise ArtefactError(f"{path}: damaged (its {name} is no word).")
    if (
        table[["cutoff", "time", "forecast"]].isna().to_numpy().any()
        or table["actual"].isna().all()
    ):
        raise ArtefactError(f"{path}: damaged (values are missing).")
    units = about.get("units")
    if not isinstance(units, list) or any(not _is_unit(unit) for unit in units):
        raise ArtefactError(f"{path}: damaged (its units).")
    told = [(unit["series"], unit["variate"]) for unit in units]
    columns = [table["series"] if "series" in table else pd.Series("", index=table.index)]
    pairs = pd.DataFrame(
        {"series": columns[0].astype(str), "variate": table["variate"].astype(str)}
    )
    there = set(pairs.drop_duplicates().itertuples(index=False, name=None))
    if len(set(told)) < len(told) or not there <= set(told):
        raise ArtefactError(f"{path}: damaged (a variate without units, or with two).")
    whole = [about.get(name) for name in ("horizon", "stride")]
    if any(type(number) is not int or number < 1 for number in whole):
        raise ArtefactError(f"{path}: damaged (its horizon or stride).")


def _is_unit(unit: Any) -> bool:
    if not isinstance(unit, dict) or not all(
        isinstance(unit.get(n), str) for n in ("series", "variate")
    ):
        return False
    mean, scale, season = (unit.get(n) for n in ("mean", "scale", "seasonal_error"))
    known = [n for n in (mean, scale, season) if n is not None]
    plain = all(type(n) in (int, float) and abs(n) < LARGEST_UNIT for n in known)
    return plain and mean is not None and scale is not None and scale > 0


def rows_of(
    panel: Panel, rows: np.ndarray, made: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """The rows of some windows.

    Args:
        panel: that the windows were cut from.
        rows: (B,) of their first targets.
        made: forecasts (B, L, C) and quantiles (B, Q, L, C) by model, in the units of the table.
    """
    first = next(iter(made.values()))[0]
    count, horizon, variates = first.shape
    shape = (count, horizon, variates)

    def spread(values: Any, axis: int) -> np.ndarray:
        wide = [1, 1, 1]
        wide[axis] = -1
        return np.broadcast_to(np.asarray(values).reshape(wide), shape).ravel()

    index = panel.index
    common: dict[str, Any] = {}
    if panel.is_many:
        number = np.searchsorted(np.array(panel.starts), rows, side="right") - 1
        common["series"] = _words(spread(number, 0), list(panel.ids))
    common["variate"] = _words(spread(range(variates), 2), [str(n) for n in panel.columns])
    common["cutoff"] = index[spread(rows - 1, 0)]
    targets = rows[:, None] + np.arange(horizon)
    common["time"] = index[np.repeat(targets.ravel(), variates)]
    common["step"] = spread(np.arange(1, horizon + 1), 1).astype(np.int32)
    parts, actual = [], panel.values[targets]
    for place, (points, quantiles) in enumerate(made.values()):
        values = {"actual": actual.ravel(), "forecast": points.ravel()}
        ends = {name: quantiles[:, n].ravel() for n, name in enumerate(ENDS)}
        model = _words(np.full(actual.size, place), list(made))
        parts.append(pd.DataFrame({**common, "model": model, **values, **ends}))
    return pd.concat(parts, ignore_index=True)


def _words(numbers: np.ndarray, words: Sequence[str]) -> "pd.Categorical[str]":
    """Words by number, of a list that all share."""
    return pd.Categorical.from_codes(numbers.astype(np.int64), pd.Index(list(words)))


def arrays_of(
    table: pd.DataFrame, model: str, horizon: int, variates: int
) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Truth (L, C) and quantiles (Q, L, C) of every window of a model, as `rows_of` laid them down."""
    own = table[table["model"] == model]
    truth = own["actual"].to_numpy().reshape(-1, horizon, variates)
    ends = own[list(ENDS)].to_numpy().T.reshape(len(ENDS), -1, horizon, variates)
    return [(truth[n], ends[:, n]) for n in range(len(truth))]
