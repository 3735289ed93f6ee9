"""The store: past windows and what was missed of each.

Shape letters: N rows, C variates, M windows, L horizon, S steps of a key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from stanhop_app.data.windows import SeriesWindows, Windows
from stanhop_app.errors import ArtefactError

LARGEST = 2**26
"""Bytes of what was missed that are kept at most: 100,000 windows of 24 steps and 7 variates."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """Windows of one or many series, by the row of their first target; nothing of a window is there twice."""

    rows: Tensor
    """(N, C) float32, scaled, less the effects of covariates: what windows are cut from."""
    origins: Tensor
    """(M,) row of the first target of each window."""
    begins: Tensor
    """(M,) first row of the series that each is of."""
    missed: Tensor
    """(M, L, C) float32, what a linear map missed that was not fitted on the window."""
    when: Tensor
    """(M, 2) float64, of the first targets (`stanhop_app.data.calendar.clock`)."""
    ends: Tensor
    """(M,) float64, seconds of the last targets."""
    part: Tensor
    """(M,) int64: 0, of the training rows; 1, of the validation rows; 2, with targets behind them."""

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def step(self) -> float:
        """Seconds from one row to the next, the usual ones; 0 of a single window."""
        horizon = self.missed.shape[1]
        if horizon > 1:
            return float((self.ends - self.when[:, 0]).median()) / (horizon - 1)
        steps = self.when[:, 0].diff()
        return float(steps[steps > 0].median()) if bool((steps > 0).any()) else 0.0

    def windows(self, steps: int, numbers: Tensor) -> Tensor:
        """The last rows of windows by number, (B, S, C); a short series goes on to the left."""
        origins, begins = self.origins[numbers], self.begins[numbers]
        return self.rows[torch.maximum(origins[:, None] + torch.arange(-steps, 0), begins[:, None])]

    def shapes(self, steps: int, numbers: Tensor) -> Tensor:
        """The last rows of windows by number, less the very last one, (B, S, C)."""
        return shapes(self.windows(steps, numbers), steps)

    def only(self, numbers: Tensor) -> "Store":
        """Some of the windows, in rising order."""
        kept = {f.name: getattr(self, f.name)[numbers] for f in fields(self) if f.name != "rows"}
        return replace(self, **kept)

    def joined(self, other: "Store") -> "Store":
        """The windows of both, cut from the rows of the other, which begin with those of this one."""
        names = (f.name for f in fields(self) if f.name != "rows")
        both = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(other, **both)

    def moved(self, before: Sequence[int], after: Sequence[int]) -> "Store":
        """The same windows where the series begin elsewhere, some rows having come between them."""
        was, now = torch.tensor(before), torch.tensor(after)
        begins = now[torch.searchsorted(was, self.begins)]
        return replace(self, begins=begins, origins=self.origins - self.begins + begins)

    def bounded(self, most: int = LARGEST) -> "Store":
        """At most so many bytes of what was missed: the newest windows."""
        return self.newest(max(most // max(4 * self.missed[:1].numel(), 1), 1))

    def newest(self, count: int) -> "Store":
        """At most so many windows: those that ended last."""
        if len(self) <= count:
            return self
        return self.only(self.ends.argsort(stable=True)[-count:].sort().values)

    @classmethod
    def of(
        cls, windows: Windows, numbers: Tensor, missed: Tensor, part: int, *, whole: bool = True
    ) -> "Store":
        """The store of some windows with a clock.

        Args:
            windows: the windows.
            numbers: of those that are stored.
            missed: (M, L, C) what was missed of them.
            part: of which they are.
            whole: whether those of which nobody knows all values are left out; else those of whose targets
                nobody knows any. Where a value is not known, the last one before it then stands in the rows.
        """
        assert windows.clock is not None
        rows, values = windows.rows(numbers), windows.values
        known = ~missed.isnan().flatten(1).all(1)
        if whole:
            known = ~(missed.isnan().any(2).any(1) | values[rows].isnan().any(2).any(1))
        begins = torch.zeros(len(numbers), dtype=torch.long)
        if isinstance(windows, SeriesWindows):
            begins = windows.begins[numbers]
        if not whole and windows.holes:
            values = held(values, begins.unique())
        numbers, rows, missed, begins = (x[known] for x in (numbers, rows, missed, begins))
        return cls(
            rows=values,
            origins=rows[:, windows.lookback],
            begins=begins,
            missed=missed,
            when=windows.clock[rows[:, windows.lookback]],
            ends=windows.clock[rows[:, -1], 0],
            part=torch.full((len(numbers),), part),
        )

    def tensors(self) -> dict[str, Tensor]:
        """What `restored` makes it from."""
        return {f.name: getattr(self, f.name).contiguous() for f in fields(self)}

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], horizon: int, variates: int) -> "Store":
        """A store from `tensors`.

        Raises:
            ArtefactError: if they do not fit each other.
        """
        store = cls(**{f.name: tensors[f.name] for f in fields(cls)})
        count, rows = len(store), len(store.rows)
        shapes_ = {
            "rows": (rows, variates),
            "missed": (count, horizon, variates),
            "when": (count, 2),
            **dict.fromkeys(("origins", "begins", "ends", "part"), (count,)),
        }
        wrong = [n for n, shape in shapes_.items() if tuple(getattr(store, n).shape) != shape]
        places = count == 0 or bool(
            (store.begins >= 0).all()
            and (store.begins < store.origins).all()
            and (store.origins < rows).all()
            and (store.part >= 0).all()
            and (store.part <= 2).all()
        )
        if wrong or not places:
            raise ArtefactError(f"the memory's {(wrong or ['origins'])[0]} cannot be; damaged.")
        return store


def held(rows: Tensor, starts: Tensor) -> Tensor:
    """Rows (N, C) of series from ``starts`` on, the last known value standing where none is; at first 0."""
    number = torch.arange(len(rows))
    latest = torch.where(rows.isnan(), -1, number[:, None]).cummax(0).values
    begin = starts[(torch.searchsorted(starts, number, right=True) - 1).clamp_min(0)]
    filled = rows.gather(0, latest.clamp_min(0))
    return torch.where(latest >= begin[:, None], filled, 0.0)


def shapes(windows: Tensor, steps: int) -> Tensor:
    """The last steps of windows (B, T, C) less the last value, (B, S, C)."""
    return windows[:, -steps:] - windows[:, -1:]
