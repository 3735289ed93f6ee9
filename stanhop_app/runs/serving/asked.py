"""What a request asks for, read and checked: whatever is wrong is told in one line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError, OptionError

ASKED = ("table", "window", "horizon", "levels", "quantiles", "ids", "future")
"""Keys of a JSON request."""


@dataclass(frozen=True)
class Asked:
    """A request, read."""

    table: pd.DataFrame | bytes | None = None
    """Rows of JSON; or a file, which is read as that of the training was."""
    window: np.ndarray | None = None
    horizon: int | None = None
    levels: Sequence[float] | None = None
    quantiles: Sequence[float] | None = None
    ids: Sequence[str] | None = None
    future: pd.DataFrame | None = None

    @classmethod
    def of_json(cls, content: bytes) -> "Asked":
        """What a JSON object asks for.

        Raises:
            OptionError: if it is no JSON, or has keys that are not known.
            DataError: if its table is none.
        """
        try:
            told = json.loads(content, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"the request is no JSON ({one_line(error)}).") from None
        if not isinstance(told, dict) or not set(told) <= set(ASKED):
            raise OptionError(f"a request is a JSON object of {', '.join(ASKED)}.")
        frames: dict[str, Any] = {
            name: _frame(told[name], name) for name in ("table", "future") if name in told
        }
        window = None
        if "window" in told:
            window = _window(told["window"])
        rest = {name: told[name] for name in ASKED[2:6] if told.get(name) is not None}
        _check_kinds(rest)
        return cls(window=window, **frames, **rest)

    @classmethod
    def of_table(cls, content: bytes, query: Sequence[tuple[str, str]]) -> "Asked":
        """What a table as CSV or Parquet asks for, with the rest in the address: ?horizon=48&levels=80,95."""
        asked = _once(query)
        unknown = set(asked) - {"horizon", "levels", "quantiles", "ids"}
        if unknown:
            raise OptionError(f"{sorted(unknown)[0]!r} is nothing that can be asked for.")
        rest: dict[str, Any] = {}
        for name, text in asked.items():
            if name == "ids":
                rest[name] = text.split(",")
                continue
            try:
                values = [float(part) for part in text.split(",")]
            except ValueError:
                raise OptionError(f"{name}: {text!r} is not a list of numbers.") from None
            rest[name] = _whole(text) if name == "horizon" else values
        return cls(table=content, **rest)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs by name.

    Raises:
        OptionError: if a name comes twice, of which one would be dropped.
    """
    told = dict(pairs)
    for name in told if len(told) < len(pairs) else ():
        if sum(other == name for other, _ in pairs) > 1:
            raise OptionError(f"{name[:100]!r} is said twice; say it once.")
    return told


def _window(rows: Any) -> np.ndarray:
    """A window of JSON: rows of numbers, or of null where a value is missing.

    Raises:
        DataError: if it holds anything else, which numpy would take for a number: texts, true and false.
    """
    whole = isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows)
    cells = [cell for row in rows for cell in row] if whole else [rows]
    if not whole or not all(cell is None or _is_number(cell) for cell in cells):
        raise DataError("window: must be rows of numbers, all of the same length.")
    try:
        return np.array(rows, dtype=np.float64)
    except (ValueError, TypeError):
        raise DataError("window: must be rows of numbers, all of the same length.") from None


def _frame(rows: Any, name: str) -> pd.DataFrame:
    """A table of JSON: a list of rows by name, or columns by name."""
    if not (isinstance(rows, list | dict) and rows):
        raise DataError(f"{name}: must be a list of rows such as {{'time': ..., 'OT': ...}}.")
    try:
        frame = pd.DataFrame(rows)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: is no table ({one_line(error)}).") from None
    for column in (c for c in frame.columns if frame[c].dtype.kind == "O"):
        nested = frame[column].map(lambda cell: isinstance(cell, list | dict)).to_numpy()
        if nested.any():
            row = int(np.flatnonzero(nested)[0]) + 1
            raise DataError(
                f"{name}: column {column!r} has a list or an object in row {row}; a cell is one value."
            )
    return frame


def _check_kinds(rest: dict[str, Any]) -> None:
    """Refuse values of JSON that are of another kind than they must be."""
    for name, value in rest.items():
        numbers = isinstance(value, list) and all(_is_number(each) for each in value)
        fits = {
            "horizon": isinstance(value, int) and not isinstance(value, bool),
            "levels": numbers,
            "quantiles": numbers,
            "ids": isinstance(value, list) and all(isinstance(each, str | int) for each in value),
        }
        if not fits[name]:
            raise OptionError(f"{name} cannot be {str(value)[:100]!r}.")


def _whole(text: str) -> int:
    """A whole number of an address.

    Raises:
        OptionError: if it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"horizon: {text!r} is not a whole number.") from None


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float holds; JSON knows integers of any length."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and (isinstance(value, float) or abs(value) <= 2**1000)


def one_line(error: Exception) -> str:
    """The message of an error, in one line."""
    return " ".join(str(error).split())[:200]
