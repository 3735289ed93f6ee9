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
            told = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"the request is no JSON ({one_line(error)}).") from None
        if not isinstance(told, dict) or not set(told) <= set(ASKED):
            raise OptionError(f"a request is a JSON object of {', '.join(ASKED)}.")
        frames: dict[str, Any] = {
            name: _frame(told[name], name) for name in ("table", "future") if name in told
        }
        window = None
        if "window" in told:
            try:
                window = np.array(told["window"], dtype=np.float64)
            except (ValueError, TypeError):
                raise DataError(
                    "window: must be rows of numbers, all of the same length."
                ) from None
        rest = {name: told[name] for name in ASKED[2:6] if told.get(name) is not None}
        _check_kinds(rest)
        return cls(window=window, **frames, **rest)

    @classmethod
    def of_table(cls, content: bytes, query: dict[str, str]) -> "Asked":
        """What a table as CSV or Parquet asks for, with the rest in the address: ?horizon=48&levels=80,95."""
        unknown = set(query) - {"horizon", "levels", "quantiles", "ids"}
        if unknown:
            raise OptionError(f"{sorted(unknown)[0]!r} is nothing that can be asked for.")
        rest: dict[str, Any] = {}
        for name, text in query.items():
            if name == "ids":
                rest[name] = text.split(",")
                continue
            try:
                values = [float(part) for part in text.split(",")]
            except ValueError:
                raise OptionError(f"{name}: {text!r} is not a list of numbers.") from None
            rest[name] = _whole(text) if name == "horizon" else values
        return cls(table=content, **rest)


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
    return isinstance(value, int | float) and not isinstance(value, bool)


def one_line(error: Exception) -> str:
    """The message of an error, in one line."""
    return " ".join(str(error).split())[:200]
