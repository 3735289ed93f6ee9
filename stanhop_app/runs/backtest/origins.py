"""The cut-offs of a backtest: windows whose first target comes right after each."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError, OptionError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.runs.backtest.config import BacktestConfig
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import is_later


@dataclass(frozen=True, kw_only=True, eq=False)
class Origins:
    """Windows of a table that are forecast, in order of time."""

    windows: Windows
    """Windows of all rows, with the longest lookback of all that forecast."""
    numbers: Tensor
    """(B,) of the windows that are forecast, of every cut-off those of all series, the earliest first."""
    seconds: Tensor
    """(B,) float64, when the first target of each is."""
    final: bool
    """Whether the final model is scored: all rows come after those that it was fitted on."""
    note: str
    """What there is to say of the rows."""

    @property
    def count(self) -> int:
        """Cut-offs."""
        return len(self.seconds.unique())

    def rows(self) -> Tensor:
        """(B,) row of the first target of every window."""
        return self.windows.rows(self.numbers)[:, self.windows.lookback]


def origins_of(run: Run, config: BacktestConfig, lookback: int) -> Origins:
    """The cut-offs of a table.

    Those of the table of the training lie in its test part, those of a table that goes on from there also
    behind it, those of any other table anywhere. Those of many series are counted from the end of each.

    Args:
        run: on its table.
        config: how many, and how far apart.
        lookback: the longest of all that forecast.

    Raises:
        DataError: if there is none, or the rows have no time stamps.
    """
    fitted, panel = run.fitted, run.table
    if fitted.frequency is None:
        raise DataError("a backtest needs rows with time stamps; the training's had none.")
    horizon = fitted.horizon
    known = run.is_trained_table or begins_alike(fitted, panel)
    final = not known and fitted.final is not None and is_later(panel, fitted)
    whole = fitted.beside(panel, final=final).whole(lookback, horizon)
    # The first target that can be: one number means one cut-off, whatever lookback a window is cut with.
    whole = replace(whole, first=max(whole.first, lookback))
    numbers = torch.arange(len(whole))
    when = whole.when(numbers)
    assert when is not None
    seconds, rows = when[:, 0].contiguous(), whole.rows(numbers)[:, lookback].contiguous()
    kept = torch.ones(len(numbers), dtype=torch.bool)
    if known:  # behind the validation rows of each series
        starts = torch.tensor(panel.starts)
        series = torch.searchsorted(starts, rows, right=True) - 1
        validation, test = (
            torch.tensor([getattr(split, part) for split in panel.splits])[series]
            for part in ("validation", "test")
        )
        place = rows - starts[series]
        kept = place >= validation
        if run.is_trained_table:  # as it is scored; a table that goes on is forecast to its end
            kept &= place + horizon <= test
    numbers, seconds = numbers[kept], seconds[kept]
    if not len(numbers):
        raise DataError(
            f"no cut-off has {lookback:,} rows before it and {horizon:,} after it that were not trained on; "
            "bring more rows."
        )
    picked = _spaced(panel, rows[kept], config.stride or horizon, config.origins)
    numbers, seconds = numbers[picked], seconds[picked]
    order = seconds.argsort(stable=True)
    note = ""
    if not known and not final:
        note = "of another table by the scored model: some rows may be those that it was trained on"
    return Origins(
        windows=whole, numbers=numbers[order], seconds=seconds[order], final=final, note=note
    )


def _spaced(panel: Panel, rows: Tensor, stride: int, most: int | None) -> Tensor:
    """Which windows, by the rows of their first targets, are ``stride`` rows apart: of each series the last.

    Args:
        panel: that the windows are of.
        rows: (B,), those of each series rising.
        stride: rows from one to the next.
        most: windows of a series; None: all.
    """
    series = torch.searchsorted(torch.tensor(panel.starts), rows, right=True) - 1
    last = torch.zeros(len(panel.starts), dtype=rows.dtype).scatter_reduce(
        0, series, rows, "amax", include_self=True
    )
    steps = last[series] - rows
    place = steps // stride
    if most is not None and most > int(place.max()) + 1:
        raise OptionError(
            f"origins is {most:,}, but the rows have {int(place.max()) + 1:,} cut-offs {stride} rows apart; "
            "take fewer, or a smaller stride."
        )
    return (steps % stride == 0) & (place < (most or len(rows)))


def begins_alike(fitted: Fitted, panel: Panel) -> bool:
    """Whether a table begins with all rows of the training's, so that its parts are known."""
    kept = fitted.rows
    if panel.is_many or len(kept) < fitted.num_rows or len(panel) < len(kept):
        return False
    return bool(panel.frame.iloc[: len(kept)].equals(kept[panel.columns]))
