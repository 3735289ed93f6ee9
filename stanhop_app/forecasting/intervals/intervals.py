"""Intervals of what was fitted: residuals of all rows that it was not fitted on, read as validation chose.

Shape letters: B queries, L horizon, C variates, Q levels, N paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stanhop_app.data.cutting import behind
from stanhop_app.data.frequency import season_length
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError
from stanhop_app.forecasting.evaluation import Predictor
from stanhop_app.forecasting.external.choice import fill_by
from stanhop_app.forecasting.external.correction import KeyKind, Memory, measured
from stanhop_app.forecasting.external.retrieval import Rule
from stanhop_app.forecasting.external.store import Store
from stanhop_app.forecasting.intervals.choice import LEAST, Judged, choose
from stanhop_app.forecasting.intervals.pool import quantiles
from stanhop_app.models.holes import between

if TYPE_CHECKING:
    from stanhop_app.forecasting.fitted import Fitted

STORED = 4096
"""Residuals that are kept at most, evenly over all, and by `LARGEST` bytes."""
LARGEST = 2**26
"""Bytes of residuals that are kept at most."""
RULE = Rule(neighbours=300, sharpness=1.0)
"""How windows alike are weighed: more of them than where a mean is read, whose tails nobody asks for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Intervals:
    """The distribution of what a forecaster will miss."""

    judged: tuple[Judged, ...]
    """All ways of reading that were tried on validation, the best first, which is the one that is used."""

    @property
    def best(self) -> Judged:
        """The one that is used."""
        return self.judged[0]

    @torch.no_grad()
    def quantiles(
        self,
        windows: Tensor,
        when: Tensor | None,
        levels: Sequence[float] | Tensor,
        *,
        frozen: bool = False,
    ) -> Tensor:
        """Quantiles of what will be missed after windows (B, T, C), (B, Q, L, C); scaled units.

        They rise with the level, so that no two cross.

        Args:
            windows: scaled.
            when: (B, 2) of the first targets, as of `Windows.when`; None: after all that is stored.
            levels: above 0 and below 1; or (Q, C), of every variate its own, in [0, 1].
            frozen: whether nothing behind the validation rows may be read.
        """
        pool, at = self.best.pool, self.best.corrected(torch.as_tensor(levels, dtype=torch.float64))
        shares = pool.weights(windows, when, self._later(len(windows)) if frozen else None)
        residuals, scale = pool.residuals(), pool.scale(windows)
        made: list[Tensor] = []
        for number, share in enumerate(shares):
            same = number > 0 and torch.equal(share, shares[number - 1])
            made.append(made[-1] if same else quantiles(residuals, self._told(share), at))
        return torch.stack(made) * scale[:, None, None]

    @torch.no_grad()
    def paths(self, windows: Tensor, when: Tensor | None, count: int, *, seed: int) -> Tensor:
        """Trajectories of what will be missed, drawn whole, (B, N, L, C); the same at a seed.

        A step of which nobody knows what was missed is on the line between its neighbours.
        """
        pool, generator = self.best.pool, torch.Generator().manual_seed(seed)
        shares = torch.stack([self._told(share) for share in pool.weights(windows, when)])
        drawn = torch.multinomial(shares, count, replacement=True, generator=generator)
        return between(pool.residuals())[drawn] * pool.scale(windows)[:, None, None]

    def tells(self, when: Tensor | None, count: int) -> np.ndarray:
        """For which of so many windows, first targets at ``when``, some residual may be read."""
        if when is None:
            return np.ones(count, dtype=bool)
        known: np.ndarray = (self.best.pool.store.ends.min() < when[:, 0]).numpy()
        return known

    def _later(self, count: int) -> Tensor:
        return (self.best.pool.store.part > 0)[None].expand(count, -1)

    @staticmethod
    def _told(share: Tensor) -> Tensor:
        if not bool(share.any()):
            raise DataError(
                "no window that is known had ended before this one; intervals need some that had."
            )
        return share


def intervals_of(fitted: "Fitted") -> Intervals:
    """The intervals of a fit, from the rows that it keeps; nothing is trained.

    Residuals are those of the scored forecaster on windows that it was not fitted on: of the validation rows,
    by which the way of reading them is chosen, and of all later ones. They stand for those of a final model,
    which was fitted on all rows, too: it has no others that are out of sample.

    Raises:
        DataError: if not all rows are kept, or validation has too few windows.
    """
    if len(fitted.rows) < fitted.num_rows:
        raise DataError(
            f"intervals need all rows, of which the last {len(fitted.rows):,} of {fitted.num_rows:,} are "
            "kept."
        )
    wide = fitted.series is None and fitted.known is None
    panel = fitted.panel(fitted.rows if wide else fitted.outlook.kept())
    windows, whole = panel.windows(fitted.lookback, fitted.horizon), fitted.predictors()
    borders = [split.validation for split in panel.splits]
    later = behind(panel.whole(fitted.lookback, fitted.horizon), borders, panel.starts)
    window_bytes = 4 * fitted.horizon * len(fitted.columns)
    store = fill_by(
        _Batched(next(iter(whole.values()))),
        (windows["validation"], later),
        max(min(STORED, LARGEST // window_bytes), LEAST),
        whole=False,
    )
    return intervals_from(store, fitted)


def intervals_from(store: Store, fitted: "Fitted") -> Intervals:
    """Intervals from residuals: those of part 0 say which way of reading is used.

    Raises:
        DataError: if these are too few.
    """
    season = 1 if fitted.frequency is None else season_length(fitted.frequency)
    kind = KeyKind(steps=min(max(7 * season, 2), fitted.lookback), calendar=season > 1)
    # Of the validation windows alone: nothing that is read at a cut-off may hang on later rows.
    early = (store.part == 0).nonzero().flatten()
    if len(early) < 2:
        raise _too_few()
    spread, typical = measured(store.only(early), kind)
    shape = (fitted.horizon, len(fitted.columns))
    memory = Memory(
        store=store,
        kind=kind,
        rule=RULE,
        strength=torch.ones(shape),
        spread=spread,
        typical=typical,
    )
    judged = choose(memory, season, fitted.lookback)
    if not judged:
        raise _too_few()
    return Intervals(judged=tuple(judged))


def _too_few() -> DataError:
    return DataError(
        f"intervals need {LEAST} validation windows, some of which end before others begin; "
        "bring more rows, or a split with more validation rows."
    )


def grown_intervals(fitted: "Fitted", panel: Panel) -> Intervals:
    """The intervals of a fit with what was missed of further rows, of a panel that begins with its own."""
    return intervals_of(replace(fitted, rows=panel.frame, num_rows=len(panel)))


@dataclass(frozen=True)
class _Batched:
    """What came and what is forecast of many windows, in batches that memory has room for."""

    whole: Predictor

    def __call__(self, windows: Windows, numbers: Tensor) -> tuple[Tensor, Tensor]:
        size = len(windows.batches()[0])
        pairs = [self.whole.pairs(windows, batch) for batch in numbers.split(size)]
        came, made = zip(*pairs, strict=True)
        return torch.cat(came), torch.cat(made)
