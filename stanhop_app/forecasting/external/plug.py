"""Plug-and-Play for what was fitted: a memory of all rows of its table, read as validation chose."""

from dataclasses import replace
from typing import TYPE_CHECKING

from stanhop_app.data.cutting import behind
from stanhop_app.data.frequency import season_length
from stanhop_app.data.outlying import without_outlying
from stanhop_app.data.panel import Panel
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.external.choice import choose, fill
from stanhop_app.forecasting.linear.fit import JUDGED, SUMMED, LinearFit, refit_linear

if TYPE_CHECKING:  # which reads memories
    from stanhop_app.forecasting.fitted import Fitted


def plugged(fitted: "Fitted", panel: Panel, linear: LinearFit | None = None) -> "Fitted":
    """A fit with the memory that validation chose; without one where none is better.

    Args:
        fitted: with a linear part.
        panel: the table that it was fitted on, with borders, scalers and effects of the fit.
        linear: the linear part; None: it is fitted again by the choices that the fit keeps.

    Raises:
        OptionError: if there is no linear part.
    """
    if fitted.linear is None:
        raise OptionError("a memory needs the linear part; train with linear_skip (--linear-skip).")
    windows = panel.windows(fitted.lookback, fitted.horizon)
    train, validation = windows["train"].thinned(SUMMED), windows["validation"].thinned(JUDGED)
    if linear is None:
        linear = refit_linear(LinearFit.of_summary(fitted.linear), train)
    alone = replace(fitted, memory=None)
    whole = next(iter(alone.predictors().values()))
    borders = [split.validation for split in panel.splits]
    tame, _ = without_outlying(panel, fitted.horizon)  # of rows that nobody judges
    later = behind(tame.whole(fitted.lookback, fitted.horizon), borders, panel.starts)
    store = fill(linear, (train, validation, later))
    season = 1 if panel.frequency is None else season_length(panel.frequency)
    return replace(fitted, memory=choose(whole.pairs, store, validation, season))
