"""Plug-and-Play: what was missed of windows like this one is added to a forecast, with no training.

For a window x whose nearest stored windows i have the weights w_i, and of which a linear map missed e_i::

    forecast'(x) = forecast(x) + s (1/2 sum_i w_i e_i + 1/2 sum_i v_ic e_ic)

w_i are those over all variates together, v_ic those of each variate c alone; s is a strength per step and
variate, found on validation (`choice`). The memory knows nothing of what made the forecast: any can be
corrected by it. STanHop (arXiv 2312.17346) retrieves within the network; of its external memory no
code was released, and reading the past's *errors* beside a trained forecaster is our own.

Shape letters: B batch, T lookback, L horizon, C variates, K neighbours.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from stanhop_app.data.windows import evenly
from stanhop_app.errors import ArtefactError
from stanhop_app.forecasting.external.retrieval import (
    Rule,
    chunks,
    circle,
    compared,
    nearest,
    squared,
    weights,
)
from stanhop_app.forecasting.external.sliding import Slid
from stanhop_app.forecasting.external.store import Store, shapes
from stanhop_app.layers.association import ASSOCIATIONS
from stanhop_app.models.config import STanHopConfig
from stanhop_app.models.holes import between

SMALLEST = 1e-6
"""Typical squared distance of windows that are all alike, as those of a constant column."""
MEASURED = 512
"""Stored windows by which spread and typical distance are measured."""


@dataclass(frozen=True, kw_only=True)
class KeyKind:
    """What of a window is compared."""

    steps: int
    """Latest steps."""
    calendar: bool
    """Whether the place of the first target in its cycle counts too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Stored windows that a query's correction is made of."""

    numbers: Tensor
    """(1 + C, B, K), nearest first: by all variates together, and by each."""
    weights: Tensor
    """(1 + C, B, K); what is missing to 1 went to a no-op."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    """A store with the way it is read."""

    store: Store
    kind: KeyKind
    rule: Rule
    strength: Tensor
    """(L, C) float32."""
    spread: Tensor
    """(1 + C,) of the keys (`retrieval.compared`)."""
    typical: Tensor
    """(1 + C,) squared distance of a stored window to the nearest one that shares no target with it."""
    gain: float = 0.0
    """Share of the squared error on validation that it took away, out of fold."""

    @cached_property
    def keys(self) -> Slid:
        """The keys of the store."""
        return Slid.of(self.store, self.kind.steps)

    @cached_property
    def circles(self) -> Tensor:
        """Where the first targets of the stored windows lie in their cycle (`circle`)."""
        return circle(self.store.when)

    @torch.no_grad()
    def correct(
        self, forecast: Tensor, windows: Tensor, when: Tensor | None, *, frozen: bool = False
    ) -> Tensor:
        """A forecast (B, L, C) of windows (B, T, C) with what the memory adds; scaled units.

        Args:
            forecast: of any model. With nothing stored it is returned itself.
            windows: scaled, less effects: those of the scored fit in the store, those of the final one
                where that forecasts.
            when: of the first targets (`Windows.when`); None: after all that is stored.
            frozen: whether nothing behind the validation rows may be read.
        """
        if not len(self.store):
            return forecast
        return forecast + self.strength.to(forecast.dtype) * self.missed(
            windows, when, frozen=frozen
        )

    @torch.no_grad()
    def missed(self, windows: Tensor, when: Tensor | None, *, frozen: bool = False) -> Tensor:
        """What was missed of windows like these, (B, L, C)."""
        groups, parts = len(self.spread), []
        for some in chunks(len(windows), len(self.store), groups):
            read = self.find(windows[some], None if when is None else when[some], frozen=frozen)
            parts.append(self.mean(read))
        return torch.cat(parts)

    def find(self, windows: Tensor, when: Tensor | None, *, frozen: bool = False) -> Found:
        """The nearest stored windows whose last target came before the first of each of these."""
        return self.weighed(*self.nearest(windows, when, frozen=frozen))

    def weighed(self, distances: Tensor, numbers: Tensor) -> Found:
        """Stored windows by their squared distances, with their weights."""
        return Found(numbers=numbers, weights=weights(distances, self.rule, self.typical))

    def nearest(
        self,
        windows: Tensor,
        when: Tensor | None,
        *,
        frozen: bool = False,
        without: Collection[int] = (),
    ) -> tuple[Tensor, Tensor]:
        """The same, as squared distances and numbers, (1 + C, B, K) each; some windows can be left out."""
        kept = self.store.part < 2 if frozen else torch.ones(len(self.store), dtype=torch.bool)
        if without:
            kept = kept.clone()
            kept[list(without)] = False
        allowed = kept[None].expand(len(windows), -1)
        if when is not None:
            allowed = allowed & (self.store.ends[None] < when[:, :1])
        return nearest(self.distances(windows, when), allowed, self.rule.neighbours)

    def distances(self, windows: Tensor, when: Tensor | None) -> Tensor:
        """Squared distances of windows to all that are stored, whenever these were, (1 + C, B, M)."""
        queries = shapes(between(windows), self.kind.steps)
        circles = None
        if self.kind.calendar and when is not None:
            circles = (circle(when), self.circles)
        return compared(self.keys.squared(queries), self.spread, circles)

    def mean(self, read: Found) -> Tensor:
        """``1/2 sum w_i e_i + 1/2 sum v_ic e_ic``, (B, L, C); of one variate both are the same."""
        missed = self.store.missed
        parts = []
        for weight, number in zip(read.weights.unbind(1), read.numbers.unbind(1), strict=True):
            together = torch.tensordot(weight[0], missed[number[0]], 1)
            if missed.shape[2] > 1:
                each = zip(weight[1:], number[1:], range(missed.shape[2]), strict=True)
                apart = torch.stack([w @ missed[n, :, c] for w, n, c in each], dim=1)
                together = (together + apart) / 2
            parts.append(together)
        return torch.stack(parts)

    def with_windows(self, more: Store) -> "Memory":
        """The memory with further windows, the oldest left out where it would be too large; none is moved."""
        return replace(self, store=self.store.joined(more).bounded())

    def as_json(self) -> dict[str, Any]:
        """What `restored` makes it from, beside its tensors; JSON values."""
        return {**asdict(self.kind), **asdict(self.rule), "gain": self.gain}

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of it."""
        own = {name: getattr(self, name) for name in ("strength", "spread", "typical")}
        return {**self.store.tensors(), **own}

    @classmethod
    def restored(
        cls, known: Mapping[str, Any], tensors: Mapping[str, Tensor], network: STanHopConfig
    ) -> "Memory":
        """The memory of a network, from `as_json` and `tensors`.

        Raises:
            ArtefactError: if they do not fit each other, or the network.
        """
        horizon, variates = network.horizon, network.num_variates
        numbers = [tensors[name] for name in ("missed", "strength", "spread", "typical")]
        whole = all(bool(tensor.isfinite().all()) for tensor in numbers)
        fits = known["steps"] <= network.lookback and known["association"] in ASSOCIATIONS
        if not (fits and whole):
            raise ArtefactError(
                f"the memory reads {known['steps']} steps by {known['association']!r}; damaged."
            )
        return cls(
            store=Store.restored(tensors, horizon, variates),
            kind=KeyKind(steps=known["steps"], calendar=known["calendar"]),
            rule=Rule(**{n: known[n] for n in ("neighbours", "association", "sharpness")}),
            strength=tensors["strength"].reshape(horizon, variates),
            spread=tensors["spread"].reshape(1 + variates),
            typical=tensors["typical"].reshape(1 + variates),
            gain=known["gain"],
        )


def measured(store: Store, kind: KeyKind) -> tuple[Tensor, Tensor]:
    """Spread and typical squared distance of the keys of a store, (1 + C,) each, above 0.

    Windows with targets behind the validation rows are not looked at: scores must not hang on them.
    """
    early = (store.part < 2).nonzero().flatten()
    numbers = early[evenly(len(early), MEASURED)]
    keys = store.shapes(kind.steps, numbers)
    each = keys.var(0, correction=0).sum(0)
    spread = torch.cat([each.sum()[None], each]).sqrt().clamp_min(1e-6)
    circles = None
    if kind.calendar:
        circles = (circle(store.when[numbers]), circle(store.when[numbers]))
    distances = compared(squared(keys, keys), spread, circles)
    origins = store.origins[numbers]
    near = (origins[:, None] - origins[None]).abs() < store.missed.shape[1]
    distances = distances.masked_fill(near, torch.inf)
    closest = distances.amin(2)
    typical = torch.stack([_median(row[~row.isinf()]) for row in closest])
    return spread, typical.clamp_min(SMALLEST)


def _median(values: Tensor) -> Tensor:
    return values.median() if len(values) else values.new_tensor(1.0)
