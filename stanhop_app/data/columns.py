"""Columns of anything become float64 values."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError

LARGEST = 1e150
"""Values beyond it have squares that a 64-bit float does not hold."""
CODES = (-9999.0, -999.0, -99.0, -9999.9, -999.9, 9999.0, 99999.0, -99999.0)
"""Numbers that often mean a missing value."""


def code_of(values: np.ndarray) -> float | None:
    """A number such as -9999 that stands there for a missing value, far from all others; or None."""
    for code in CODES:
        rows = values == code
        if not rows.any():
            continue
        others = values[~rows & ~np.isnan(values)]
        if not len(others):
            continue
        low, high = others.min(), others.max()
        if (code < low and low - code > high - low) or (code > high and code - high > high - low):
            return code
    return None


def codes_told(values: Mapping[str, np.ndarray]) -> list[str]:
    """A sentence for every column that holds a number such as -9999 (`code_of`)."""
    return [
        f"column {column!r} holds {code:g}, far from its other values; if it means missing, say na "
        f"(--na={code:g})"
        for column, numbers in values.items()
        if (code := code_of(numbers)) is not None
    ]


def numeric(column: pd.Series, name: str) -> np.ndarray:
    """Float64 values of a column; text is an error that names its first row."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = _to_numbers(column)
        text = (numbers.isna() & column.notna()).to_numpy()
        if text.any() or pd.api.types.is_datetime64_any_dtype(column):
            row = int(np.flatnonzero(text)[0]) if text.any() else 0
            first = str(column.iloc[row])
            marks = re.fullmatch(r"[-+]?\d[\d., ]*", first) and any(mark in first for mark in "., ")
            hint = "say decimal or thousands (--decimal, --thousands)" if marks else "mend them"
            if not marks and len(set(column[text])) == 1:
                hint = f"if it means a missing value, say na (--na {shlex.quote(first)}); else mend them"
            if not marks and text.mean() > 0.5:  # a column of words
                hint = "if it tells series apart, say so (--id-column), or what it says of them "
                hint += "(--static-covariates, --future-covariates); else mend it"
            raise DataError(
                f"{name}: column {column.name!r} has {max(int(text.sum()), 1)} values that are not "
                f"numbers, first in row {row + 1}: {first!r}; {hint}, or choose "
                "other columns (--columns)."
            )
        values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    for what, wrong in (
        ("infinite values", np.isinf(values)),
        (f"values beyond {LARGEST:g}, whose squares are no numbers", np.abs(values) > LARGEST),
    ):
        if wrong.any():
            raise DataError(
                f"{name}: column {column.name!r} has {int(wrong.sum())} {what}, first in row "
                f"{int(np.flatnonzero(wrong)[0]) + 1}; mend them, or choose other columns (--columns)."
            )
    return values


def _to_numbers(column: pd.Series) -> pd.Series:
    """Numbers of a column of anything; what is none becomes missing, whole numbers of 400 digits infinite."""
    try:
        return pd.to_numeric(column, errors="coerce").astype(np.float64)
    except OverflowError:
        return column.map(_to_number)


def _to_number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return float("nan")
