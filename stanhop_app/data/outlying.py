"""Values that lie so far from all that was trained on that a fit by squares would follow them alone.

What was fitted on some rows is judged on others, and a mistyped value shows there. What is fitted on all rows
is judged by nobody: it must not hang on one value.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.panel import Panel

FARTHER = 5.0
"""How many times as far from the mean of the training rows as all of them a value must lie."""


def without_outlying(panel: Panel, horizon: int, *, causal: bool = False) -> tuple[Panel, str]:
    """A panel whose outlying scaled values are replaced by straight lines between their neighbours.

    A value x, in deviations of the training rows, is outlying where |x| is more than `FARTHER` times the
    largest one of the training rows (of any series, at least 1). In all else the panel stays as it is. So do
    series that nothing is fitted on.

    Args:
        panel: of a table.
        horizon: that is forecast, which says which series are fitted on.
        causal: whether the last value before takes their place instead, so that none says anything of later.

    Returns:
        The panel, and a sentence that names the first such value; the same panel and nothing where there is
        none.
    """
    used = panel.used(horizon) if panel.is_many else [True]
    far = panel.scaled.abs() > FARTHER * _largest(panel, used)
    for (first, last), fitted in zip(panel.spans, used, strict=True):
        far[first:last] &= fitted
    if not far.any():
        return panel, ""
    scaled = panel.scaled.clone()
    for first, last in panel.spans:
        for column in far[first:last].any(0).nonzero().flatten().tolist():
            replaced = _carry if causal else _draw_lines
            replaced(scaled[first:last, column].numpy(), far[first:last, column].numpy())
    return panel.with_scaled(scaled), _sentence(panel, far)


def _draw_lines(values: np.ndarray, far: np.ndarray) -> None:
    """Replace some values by lines between the known ones around them; 0 where there are none."""
    steps, known = np.arange(len(values)), ~far & ~np.isnan(values)
    values[far] = np.interp(steps[far], steps[known], values[known]) if known.any() else 0.0


def _carry(values: np.ndarray, far: np.ndarray) -> None:
    """Replace some values by the last known ones before; 0 where there are none."""
    known = ~far & ~np.isnan(values)
    before = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    values[far] = np.where(before[far] < 0, 0.0, values[before[far]])


def _largest(panel: Panel, used: Sequence[bool]) -> Tensor:
    """The largest absolute scaled value of the training rows of the series that are used, a column (C,)."""
    known = panel.scaled.abs().nan_to_num(0.0)
    largest = torch.ones(known.shape[1])
    for (first, _), split, fitted in zip(panel.spans, panel.splits, used, strict=True):
        rows = known[first : first + split.train]
        if len(rows) and fitted:
            largest = torch.maximum(largest, rows.amax(0))
    return largest


def _sentence(panel: Panel, far: Tensor) -> str:
    row, column = (int(number) for number in far.nonzero()[0])
    number = sum(start <= row for start in panel.starts) - 1
    series = f" of series {panel.ids[number]!r}" if panel.is_many else ""
    where = f"column {panel.columns[column]!r}{series} at {panel.index[row]}"
    return (
        f"values that lie more than {FARTHER:g} times as far out as all training rows: {int(far.sum()):,}, "
        f"first {panel.values[row, column]:g} in {where}; what forecasts was not fitted on them. Mend them "
        "if they are wrong; train again if they are right."
    )
