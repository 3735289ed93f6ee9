"""One window of a part as people look at it: original units, time stamps, and the name of its series."""

from dataclasses import dataclass

import pandas as pd
import torch

from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.fitted import WHOLE
from stanhop_app.runs.run import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A window with its forecast and what came."""

    series: str
    """Name of one of many series; empty for a table."""
    history: pd.DataFrame
    """The rows that are read; of a short series there are fewer."""
    forecast: pd.DataFrame
    actual: pd.DataFrame


@torch.no_grad()
def shown(run: Run, windows: Windows, number: int) -> Shown:
    """A window of a part of the run's table, by number, and its forecast by the scored model."""
    panel, chosen = run.table, torch.tensor([number])
    origin = int(windows.rows(chosen)[0, windows.lookback])
    place = next(i for i, (_, last) in enumerate(panel.spans) if origin < last)
    first, _ = panel.spans[place]
    whole = run.forecaster.predictors()[WHOLE]
    _, made = whole.pairs(whole.suited(windows), chosen)
    actual = panel.frame.iloc[origin : origin + windows.horizon]
    values = panel.scalers[place].inverse(made[0].numpy())
    return Shown(
        series=panel.ids[place],
        history=panel.frame.iloc[max(first, origin - windows.lookback) : origin],
        forecast=pd.DataFrame(values, index=actual.index, columns=panel.frame.columns),
        actual=actual,
    )
