"""The linear part fitted again and again as rows come, without reading old windows twice."""

from dataclasses import replace

from stanhop_app.data.windows import Windows
from stanhop_app.forecasting.linear.fit import LinearFit, from_sums, sums_of
from stanhop_app.forecasting.linear.moments import Moments
from stanhop_app.forecasting.linear.sliding import added
from stanhop_app.models.stanhop import LinearPart


class Growing:
    """A linear part by the choices that validation made, fitted on all windows whose targets have come.

    The sums of squares and products that it is solved from are those of the last time and of the windows that
    came since; every solution is that of `stanhop_app.forecasting.linear.fit.refit_linear` but for the order
    of additions.
    """

    def __init__(self, chosen: LinearFit, windows: Windows):
        """Nothing is fitted yet.

        Args:
            chosen: what validation chose.
            windows: of all rows of one series.
        """
        self._chosen, self._windows = chosen, windows
        self._sums: dict[int, Moments] = {}
        self._last = 0

    def until(self, row: int) -> LinearPart:
        """Fitted on the windows whose targets lie before this row; rows rise from call to call."""
        windows = self._windows
        # The first window of the new ones has its last target where the old rows ended.
        first = max(self._last - windows.horizon + 1, 0) if self._sums else windows.first
        fresh = sums_of(self._chosen, replace(windows, first=first, last=row))
        if self._sums:
            fresh = {steps: added(sums, fresh[steps]) for steps, sums in self._sums.items()}
        self._sums, self._last = fresh, row
        return from_sums(self._chosen, fresh, windows.lookback).module(windows.holes)
