"""What a fit keeps of covariates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stanhop_app.data.calendar import cycles
from stanhop_app.data.covariates import Covariates
from stanhop_app.data.encoder import Encoder
from stanhop_app.data.holidays import check_place
from stanhop_app.data.panel import Panel
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.effects.regression import Effects


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Covariates of a fit."""

    encoder: Encoder
    effects: Effects | None
    """What covariates add to the values of the scored model; None: validation chose nothing."""
    kept: Covariates
    """Covariates of the last rows, and of the future as far as the table told it."""

    def beside(self, panel: Panel, effects: Effects | None, numbers: Sequence[int]) -> Panel:
        """A panel with its covariates encoded, its windows less the effects.

        Args:
            panel: with covariates, or without where time stamps are enough.
            effects: those of the scored or of the final model.
            numbers: of its series at the fit; -1: a new one.

        Raises:
            DataError: for other covariates than the trained ones.
        """
        known = self.encoder.matched(panel.known)
        if panel.covariates is not None:
            panel = replace(panel, covariates=known)
        panel = panel.beside(self.encoder)
        return panel if effects is None else panel.less(effects.of(self.encoder, panel, numbers))


def encoder_of(panel: Panel, *, calendar: bool, holidays: str | None = None) -> Encoder | None:
    """The encoder of a panel's training rows; None where there is nothing to encode.

    Raises:
        OptionError: for holidays of no place, or of a table whose rows are no days or parts of one.
    """
    check_place(holidays)
    if panel.frequency is None and (calendar or holidays is not None):
        raise OptionError("cycles and holidays need rows with time stamps, and these have none.")
    if holidays is not None and "week" not in cycles(panel.frequency, 7.0):
        raise OptionError(
            f"holidays are of days, and the rows have frequency {panel.frequency}; leave them out."
        )
    known = panel.known
    rows = known.frame.to_numpy(dtype=np.float64)
    pairs = list(zip(known.spans(), panel.splits, strict=True))
    training = np.concatenate([rows[a : a + max(split.train, 1)] for (a, _), split in pairs])
    found_cycles: tuple[str, ...] = ()
    if calendar:
        days = max(
            (panel.index[a + max(split.train, 1) - 1] - panel.index[a]) / pd.Timedelta(days=1)
            for (a, _), split in zip(panel.spans, panel.splits, strict=True)
        )
        found_cycles = cycles(panel.frequency, days)
    encoder = Encoder.fit(known, training, found_cycles, holidays)
    return encoder if encoder.num_future + encoder.num_past + encoder.num_static else None


def kept_of(panel: Panel, rows: int) -> Covariates:
    """Covariates of the last rows of every series, as many as that, and those beyond."""
    return panel.known.behind(panel.lengths, [min(length, rows) for length in panel.lengths])
