"""Windows of every part of many series, and which of the series are fitted and scored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.covariates import Covariates, firsts
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.scaler import Scaler
from stanhop_app.data.windows import Along, SeriesWindows, Split, Windows
from stanhop_app.errors import DataError, OptionError

SCALED = 10
"""Training rows from which one of many series is scaled; of fewer all its rows say how large it is."""
UNLIKE = 1000.0
"""Deviations of its training rows beyond which one of many series would drown all others."""


def along_of(encoder: Encoder, known: Covariates, lengths: Sequence[int]) -> Along:
    """What lies beside the values of series of such lengths, as networks read it."""
    return Along(
        covariates=torch.from_numpy(encoder.encode(known.frame)[known.inside(lengths)]),
        static=torch.from_numpy(encoder.encode_static(known.static)),
        starts=torch.tensor(firsts(lengths)),
        skipped=encoder.num_future - encoder.num_ahead,
    )


def series_windows(
    values: Tensor,
    spans: Sequence[tuple[int, int]],
    splits: Sequence[Split],
    lookback: int,
    horizon: int,
    used: Sequence[bool] | None = None,
    along: Along | None = None,
) -> dict[str, SeriesWindows]:
    """Windows of every part over all series; a series too short for a part has none there.

    A training window reads the whole lookback where the training rows of its series hold one such
    window. Of a shorter series those count that read at least half of what comes before their targets, as
    in `stanhop_app.forecasting.suited`. Windows of the other parts read what there is.

    Args:
        values: (N, C) scaled.
        spans: first row of every series, and the row after its last.
        splits: borders of every series, in its own rows.
        lookback: steps that are read.
        horizon: steps forecast.
        used: whether the windows of each series are; None: all.
        along: what lies beside the values.
    """
    chosen: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "validation": [], "test": []}
    for number, ((begin, _), split) in enumerate(zip(spans, splits, strict=True)):
        if used is not None and not used[number]:
            continue
        free = split.train - horizon
        first = lookback if free >= lookback else max(free // 2, 1)
        borders = {
            "train": (first, split.train),
            "validation": (max(split.train, 1), split.validation),
            "test": (max(split.validation, 1), split.test),
        }
        for part, (start, stop) in borders.items():
            origins = np.arange(begin + start, begin + stop - horizon + 1)
            chosen[part].append((origins, begin))
    return {
        part: SeriesWindows(
            values=values,
            first=0,
            last=len(values),
            lookback=lookback,
            horizon=horizon,
            along=along,
            origins=torch.from_numpy(np.concatenate([np.zeros(0, int), *(o for o, _ in pairs)])),
            begins=torch.from_numpy(
                np.repeat(np.array([b for _, b in pairs], dtype=int), [len(o) for o, _ in pairs])
            ),
        )
        for part, pairs in chosen.items()
    }


def behind(windows: Windows, rows: Sequence[int], starts: Sequence[int]) -> Windows:
    """The windows whose first target lies behind so many rows of their series.

    Args:
        windows: of all rows.
        rows: of every series, before the targets.
        starts: first row of every series.
    """
    if not isinstance(windows, SeriesWindows):
        return replace(windows, first=rows[0])
    number = torch.searchsorted(torch.tensor(starts), windows.begins)
    kept = windows.origins - windows.begins >= torch.tensor(rows)[number]
    return replace(windows, origins=windows.origins[kept], begins=windows.begins[kept])


def used_series(
    values: np.ndarray,
    scaled: Tensor,
    spans: Sequence[tuple[int, int]],
    splits: Sequence[Split],
    horizon: int,
) -> list[bool]:
    """Whether each of many series is fitted and scored.

    Left out are those without a training window, and those that are constant there or later lie far from
    there: in their deviations they would outweigh all others.
    """
    used = []
    for (first, last), split in zip(spans, splits, strict=True):
        rows = values[first : first + split.train]
        known = (~np.isnan(rows)).sum(0)
        enough = split.train > horizon and bool(known.min() > 1)
        varies = enough and bool((np.nanmax(rows, 0) > np.nanmin(rows, 0)).any())
        used.append(varies and float(scaled[first:last].abs().nan_to_num(0.0).max()) < UNLIKE)
    return used


def check_windows(parts: Mapping[str, Windows], longest: int, horizon: int, split: str) -> None:
    """Refuse many series none of which has a window to train on, or to validate with.

    Args:
        parts: windows by part.
        longest: rows of the longest series.
        horizon: of the windows.
        split: that made the parts.

    Raises:
        DataError: if there is none.
    """
    for part in ("train", "validation"):
        if len(parts[part]) == 0:
            raise DataError(
                f"too few rows: no series has a {part} window of horizon {horizon} under split "
                f"{split}; the longest has {longest} rows; take a smaller horizon or another split."
            )


def scalers_of(
    values: np.ndarray, spans: Sequence[tuple[int, int]], splits: Sequence[Split]
) -> tuple[Scaler, ...]:
    """The scaler of the training rows of every series, (N, C) in all."""
    scalers = []
    for (first, last), split in zip(spans, splits, strict=True):
        rows = split.train if split.train >= SCALED or len(spans) == 1 else last - first
        scalers.append(Scaler.fit(values[first : first + max(rows, 1)]))
    return tuple(scalers)


def spans_of(starts: Sequence[int], rows: int) -> list[tuple[int, int]]:
    """First row of every series, and the row after its last.

    Raises:
        OptionError: if the starts do not rise from 0 within the rows.
    """
    edges = [*starts, rows]
    spans = list(pairwise(edges))
    if edges[0] != 0 or any(last < first for first, last in spans):
        raise OptionError(f"starts must rise from 0 within the {rows} rows, got {tuple(starts)}.")
    return spans
