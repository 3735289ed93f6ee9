"""Tables of forecasts as CSV, Parquet or JSON: the same content wherever it is written to or sent."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd


def encode(frame: pd.DataFrame, kind: str) -> bytes:
    """A table, wide with an index of time stamps, or long with them in a column, as bytes.

    Args:
        frame: of ``predict`` or ``predict_interval``.
        kind: "csv", "parquet", or "json" (one object a row; `json_rows`).
    """
    is_wide = hasattr(frame.index, "tz")
    if is_wide:
        frame = frame.rename_axis(str(frame.index.name or "time"))
    if kind == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=is_wide)
        return buffer.getvalue()
    if kind == "csv":
        return frame.to_csv(index=is_wide, lineterminator="\n").encode()
    return (json.dumps(json_rows(frame), indent=2, ensure_ascii=False) + "\n").encode()


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows by name, as values of JSON: time stamps in ISO 8601, what is missing or not finite as None.

    Numbers have all their digits, so that they are read back to the bit: pandas' own JSON has 15 places after
    the point at most, and milliseconds.
    """
    if hasattr(frame.index, "tz"):
        frame = frame.rename_axis(str(frame.index.name or "time")).reset_index()
    columns = []
    for _, column in frame.items():
        if column.dtype.kind == "M":
            values = [None if stamp is pd.NaT else stamp.isoformat() for stamp in column]
        else:
            known = column.notna() & ~column.isin([np.inf, -np.inf])
            values = column.astype(object).where(known, None).to_list()
        columns.append(values)
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
