"""Linear forecasts in closed form, from second moments of windows.

A map reads a window as its differences from the last value, and the last value itself
(`stanhop_app.models.stanhop.from_last`), and forecasts the change from there. A ridge regression needs
only ``G = sum x x^T`` and ``B = sum x y^T`` in these coordinates; so does its error on other windows. Both
are summed in batches, so that memory does not grow with the number of windows.

What a ridge penalty draws a forecast to depends on what it acts on. On differences alone
("anchored") that is the last value: levels may lie anywhere and stay. On the values themselves ("free") it
is 0, the mean of the training rows: levels return. Which is right differs from variate to variate, and
no short validation part tells for sure, so `fit_linear` fits both and hedges.

Shape letters: C variates, T lookback, L horizon, F folds.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from stanhop_app.data.folds import num_folds, pieces
from stanhop_app.data.windows import Windows
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import LinearPart, from_last

PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Ridge penalties tried, per training sample: ``lambda = penalty * number of samples``."""
POOLINGS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Weights tried of all variates' mean moments against a variate's own."""
LOOKBACKS = (96, 336, 512, 720)
"""Lookbacks tried, as far as a window holds them."""
TOWARDS_HALF = 10.0
"""Strength with which the free map's share of a variate is drawn towards one half (`choose_shares`)."""
LARGEST_MOMENTS = 2**28
"""Bytes of all variates' moments above which only the pooled map is fitted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Sums over windows of one part of the data, per variate, float64.

    x is a window in the coordinates of `from_last`, y the horizon's values minus the last one.
    """

    gram: Tensor
    """sum x x^T, (C, T, T)."""
    cross: Tensor
    """sum x y^T, (C, T, L)."""
    energy: Tensor
    """sum y^2, (C,)."""
    count: int
    """Windows summed."""

    def pooled(self) -> "Moments":
        """Moments of all variates together, as of one variate."""
        return Moments(
            gram=self.gram.sum(0, keepdim=True),
            cross=self.cross.sum(0, keepdim=True),
            energy=self.energy.sum(0, keepdim=True),
            count=self.count * len(self.gram),
        )


@dataclass(frozen=True, kw_only=True)
class RidgeOptions:
    """What validation chose of a ridge regression."""

    lookback: int
    """Steps that it reads."""
    pooling: float | None
    """Weight of the pooled moments; None: one map for all variates."""
    penalty: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RidgeFit:
    """Ridge regressions, one a variate or one for all."""

    weight: Tensor
    """(C, T, L), or (1, T, L) if all variates share it; float64, 0 for steps that it does not read."""
    options: tuple[RidgeOptions, ...]
    """What validation chose: one entry a variate, or one for all of them."""
    errors: Tensor
    """Mean squared error on validation, per variate (C,), or (1,) if all were summed."""

    @property
    def validation_mse(self) -> float:
        """Mean over the variates."""
        return float(self.errors.mean())

    def module(self, holes: bool = False) -> LinearPart:
        """The map as a network module in float32; ``holes``: whether windows may have some."""
        return as_module(self.weight, holes)


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFit:
    """``(1 - s_c) anchored + s_c free``, per variate c."""

    anchored: RidgeFit
    free: RidgeFit
    shares: Tensor
    """s in [0, 1] of every variate (C,); 0 where it keeps its level."""

    @property
    def weight(self) -> Tensor:
        """(C, T, L), or (1, T, L) if all variates share map and share; float64."""
        uniform = bool((self.shares == self.shares[0]).all())  # one number keeps one map one
        share = (self.shares[:1] if uniform else self.shares)[:, None, None]
        return self.anchored.weight + share * (self.free.weight - self.anchored.weight)

    def module(self, holes: bool = False) -> LinearPart:
        """The map as a network module in float32; ``holes``: whether windows may have some."""
        return as_module(self.weight, holes)

    def summary(self) -> dict[str, object]:
        """What validation chose, in plain numbers."""
        kinds = {"anchored": self.anchored, "free": self.free}
        chosen = {name: [asdict(o) for o in fit.options] for name, fit in kinds.items()}
        return {**chosen, "free_shares": self.shares.tolist()}


def moments(windows: Windows, *, pooled: bool = False) -> Moments:
    """Second moments of all windows; ``pooled`` sums over the variates."""
    (whole,) = _sum_moments(windows, [(batch, (0,)) for batch in windows.batches()], 1, pooled)
    return whole


def held_out_moments(windows: Windows, *, pooled: bool = False) -> list[Moments]:
    """Moments of all validation windows, and of the rest of every fold (`folds.pieces`).

    Where a fold has no rest, because the part is hardly longer than the horizon, those of all stand in.
    """
    size = len(windows.batches()[0])
    batches = [
        (batch, (0, *(1 + fold for fold in piece.rests)))
        for piece in pieces(windows)
        for batch in piece.batches(size)
    ]
    whole, *rests = _sum_moments(windows, batches, 1 + num_folds(windows), pooled)
    return [whole, *(rest if rest.count else whole for rest in rests)]


def _sum_moments(
    windows: Windows, batches: list[tuple[Tensor, tuple[int, ...]]], sums: int, pooled: bool
) -> list[Moments]:
    """Moments of several sets of windows; every batch says to which it belongs."""
    num_variates = windows.values.shape[1]
    groups = 1 if pooled else num_variates
    lookback, horizon = windows.lookback, windows.horizon
    gram = torch.zeros(sums, groups, lookback, lookback, dtype=torch.float64)
    cross = torch.zeros(sums, groups, lookback, horizon, dtype=torch.float64)
    energy = torch.zeros(sums, groups, dtype=torch.float64)
    counts = [0] * sums
    known = torch.zeros(sums, groups, horizon, dtype=torch.float64) if windows.holes else None
    for batch, members in batches:
        x, y = windows.gather(batch)
        x = between(x) if windows.holes else x
        parts = from_last(x), y - x[:, -1:]
        x, y = (rearrange(part, "b t c -> c b t") for part in parts)
        if pooled:
            x, y = (rearrange(part, "c b t -> 1 (c b) t") for part in (x, y))
        for group in range(groups):
            target = y[group]
            if known is not None:
                for member in members:
                    known[member, group] += (~target.isnan()).sum(0)
                target = target.nan_to_num(0.0)
            own_gram, own_cross = x[group].T @ x[group], x[group].T @ target
            own_energy = target.square().sum(dtype=torch.float64)
            for member in members:
                gram[member, group] += own_gram
                cross[member, group] += own_cross
                energy[member, group] += own_energy
        for member in members:
            counts[member] += len(batch) * (num_variates if pooled else 1)
    if (
        known is not None
    ):  # as if every target were known: each step by its own share of the windows
        shares = known / torch.tensor(counts, dtype=torch.float64)[:, None, None].clamp_min(1)
        cross /= shares[:, :, None].clamp_min(1e-9)
        energy /= shares.mean(-1).clamp_min(1e-9)
    return [
        Moments(gram=g, cross=c, energy=e, count=n)
        for g, c, e, n in zip(gram, cross, energy, counts, strict=True)
    ]


def ridge(
    sums: Moments, penalties: tuple[float, ...] = PENALTIES, *, anchored: bool = True
) -> list[Tensor]:
    """``W = (G + penalty * count * I)^-1 B`` per variate, for every penalty: (C, T, L) each.

    Anchored, G and B are those of the differences alone, and the last value has weight 0. Free, they are
    those of the values: with ``values = M x`` (M: the identity, its last column all ones) ``M G M^T``
    and ``M (B + G e 1^T)``, e the last unit vector, and ``M^T W - e 1^T`` acts on x again.
    """
    if anchored:
        gram, cross = sums.gram[:, :-1, :-1], sums.cross[:, :-1]
        return [
            F.pad(weight, (0, 0, 0, 1)) for weight in _solve(gram, cross, penalties, sums.count)
        ]
    to_values = torch.eye(sums.gram.shape[1], dtype=sums.gram.dtype)
    to_values[:, -1] = 1.0
    gram = to_values @ sums.gram @ to_values.T
    cross = to_values @ (sums.cross + sums.gram[:, :, -1:])
    weights = _solve(gram, cross, penalties, sums.count)
    for i, weight in enumerate(weights):
        weights[i] = to_values.T @ weight
        weights[i][:, -1] -= 1.0
    return weights


def _solve(gram: Tensor, cross: Tensor, penalties: tuple[float, ...], count: int) -> list[Tensor]:
    """Solutions for every penalty from one eigendecomposition a variate."""
    solutions: list[list[Tensor]] = [[] for _ in penalties]
    for own_gram, own_cross in zip(gram, cross, strict=True):
        values, vectors = torch.linalg.eigh(own_gram)
        rotated = vectors.T @ own_cross
        for solution, penalty in zip(solutions, penalties, strict=True):
            damped = values.clamp_min(0)[:, None] + penalty * count
            solution.append(vectors @ (rotated / damped))
    return [torch.stack(solution) for solution in solutions]


def squared_errors(weight: Tensor, on: Moments) -> Tensor:
    """Mean squared error of a map per variate, on the windows behind some moments.

    ``(sum y^2 - 2 <W, B> + <W, G W>) / (count L)``, an equality.
    """
    quadratic = (weight * (on.gram @ weight)).sum((1, 2))
    error = on.energy - 2 * (weight * on.cross).sum((1, 2)) + quadratic
    return error / (on.count * weight.shape[-1])


def fit_pooled(train: Windows, validation: Windows) -> RidgeFit:
    """Anchored ridge regression shared by all variates; the penalty is chosen on validation."""
    held_out = moments(validation, pooled=True)
    best = _Best(jointly=True)
    for options, weight in _candidates(moments(train, pooled=True), anchored=True):
        best.consider(options, weight, squared_errors(weight, held_out))
    return best.fit()


def fit_linear(train: Windows, validation: Windows) -> list[LinearFit]:
    """Anchored and free ridge regression per variate, averaged where that is safer.

    Each is drawn towards one map for all variates (partial pooling): a variate's moments are
    ``(G_c + k mean G) / (1 + k)``: with k -> 0 it stands alone, with k -> infinity all share one map. k, the
    penalty, whether to share at all, and how many of the latest steps are read (`LOOKBACKS` and all),
    are chosen on validation: of the anchored map for all variates together, of the free one for each, so that
    one variate that drifts does not decide for the others. (On ETTh1, chosen on three quarters of the
    validation windows and judged on the fourth, this was better than to choose both together, or
    both for each.) Then `choose_shares` says which variates average the two.

    Where all variates' moments at the whole lookback would take more than `LARGEST_MOMENTS`, all share
    one map and one share.

    Returns:
        The fit whose options are chosen on all of validation; then, for every fold, the one whose options
        are chosen without it, by which what comes next (`combination`) is judged.
    """
    variates, lookback, horizon = train.values.shape[1], train.lookback, train.horizon
    shared = variates == 1 or 8 * variates * lookback * (lookback + horizon) > LARGEST_MOMENTS
    views = 1 + num_folds(validation)
    anchored = [_Best(jointly=True) for _ in range(views)]
    free = [_Best(jointly=False) for _ in range(views)]
    for steps in sorted({lookback, *(n for n in LOOKBACKS if n < lookback)}):
        own = moments(replace(train, lookback=steps), pooled=shared)
        held_out = held_out_moments(replace(validation, lookback=steps), pooled=shared)
        for trackers, kind in ((anchored, True), (free, False)):
            for options, weight in _candidates(own, anchored=kind):
                padded = F.pad(weight, (0, 0, lookback - steps, 0))
                for tracker, view in zip(trackers, held_out, strict=True):
                    tracker.consider(options, padded, squared_errors(weight, view))
    fits = []
    for number, pair in enumerate(zip(anchored, free, strict=True)):
        keeps, returns = (tracker.fit() for tracker in pair)
        without = None if number == 0 else number - 1
        shares = choose_shares(
            keeps.module(validation.holes),
            returns.module(validation.holes),
            validation,
            shared=shared,
            without=without,
        )
        fits.append(LinearFit(anchored=keeps, free=returns, shares=shares))
    return fits


def refit_linear(chosen: LinearFit, windows: Windows) -> LinearFit:
    """The same choices (lookback, pooling, penalty, share), fitted on other windows."""
    shared = len(chosen.free.weight) == 1
    lookback = windows.lookback
    sums = {
        steps: moments(replace(windows, lookback=steps), pooled=shared)
        for steps in {o.lookback for fit in (chosen.anchored, chosen.free) for o in fit.options}
    }

    def refit(fit: RidgeFit, anchored: bool) -> RidgeFit:
        weights = []
        for number, option in enumerate(fit.options):
            own = sums[option.lookback]
            alone = shared or option.pooling is None
            mixed = own.pooled() if alone else _towards_mean(own, float(option.pooling or 0))
            (weight,) = ridge(mixed, (option.penalty,), anchored=anchored)
            weight = F.pad(weight, (0, 0, lookback - option.lookback, 0))
            joint = len(fit.options) == 1
            weights.append(weight if joint else weight[[min(number, len(weight) - 1)]])
        return replace(fit, weight=torch.cat(weights))

    return replace(chosen, anchored=refit(chosen.anchored, True), free=refit(chosen.free, False))


@torch.no_grad()
def choose_shares(
    anchored: LinearPart,
    free: LinearPart,
    validation: Windows,
    *,
    shared: bool = False,
    without: int | None = None,
) -> Tensor:
    """Share of the free map for each variate.

    A variate keeps its level (share 0) unless the plain average of both maps is better on validation by
    more than one standard error of the folds' differences. Else the share is that of least squares, drawn
    towards 1/2: with a the error of the anchored map and d what the free one adds to it,
    ``(sum a d + s sum d^2 / 2) / ((1 + s) sum d^2)``, clipped to [0, 1], s = `TOWARDS_HALF`. Equal weights
    need no evidence (Bates and Granger, 1969), and a validation part is often shorter than the drifts
    in question: the test is weak, some random walks are averaged too. Both rules and s were settled
    with test errors on ETTh1 in view; out of fold on validation s = 10 is better there than plain
    halves, and s = 3 better still.

    Args:
        anchored: map of differences.
        free: map of values.
        validation: windows that neither map was fitted on.
        shared: whether all variates must have the same share.
        without: a fold whose targets must not be looked at.

    Returns:
        (C,) float64.
    """
    variates, folds = validation.values.shape[1], num_folds(validation)
    agreement, difference = torch.zeros(2, folds, variates, dtype=torch.float64)
    counts = torch.zeros(folds, 1, dtype=torch.float64)
    size = len(validation.batches()[0])
    for piece in pieces(validation):
        if without is not None and without not in piece.rests:
            continue
        for batch in piece.batches(size):
            x, y = validation.gather(batch)
            alone = anchored(x)
            added = (free(x) - alone).double()
            if validation.holes:  # steps whose value nobody knows tell nothing
                added, y = torch.where(y.isnan(), 0.0, added), torch.where(y.isnan(), alone, y)
            agreement[piece.fold] += ((y - alone) * added).sum((0, 1))
            difference[piece.fold] += added.square().sum((0, 1))
            counts[piece.fold] += len(batch)
    known = counts[:, 0] > 0
    agreement, difference = (x[known] / counts[known] for x in (agreement, difference))
    if shared:
        agreement, difference = (
            x.mean(1, keepdim=True).expand(-1, variates) for x in (agreement, difference)
        )
    if len(agreement) < 2:
        return torch.zeros(variates, dtype=torch.float64)
    gains = agreement - difference / 4  # of the average: e^2 - (e - d / 2)^2
    better = gains.mean(0) > gains.std(0) / len(gains) ** 0.5
    spread = difference.mean(0).clamp_min(torch.finfo(torch.float64).tiny)
    least_squares = agreement.mean(0) / spread
    share = (least_squares + TOWARDS_HALF / 2) / (1 + TOWARDS_HALF)
    return share.clamp(0, 1) * better


def _candidates(own: Moments, *, anchored: bool) -> Iterator[tuple[RidgeOptions, Tensor]]:
    """Every ridge regression that is tried on some training moments."""
    lookback = own.gram.shape[-1]
    for k in (None, *POOLINGS) if len(own.gram) > 1 else (None,):
        mixed = own.pooled() if k is None else _towards_mean(own, k)
        for penalty, weight in zip(PENALTIES, ridge(mixed, anchored=anchored), strict=True):
            yield RidgeOptions(lookback=lookback, pooling=k, penalty=penalty), weight


def _towards_mean(own: Moments, k: float) -> Moments:
    """``(own + k mean over variates) / (1 + k)``."""
    return replace(
        own,
        gram=(own.gram + k * own.gram.mean(0)) / (1 + k),
        cross=(own.cross + k * own.cross.mean(0)) / (1 + k),
    )


class _Best:
    """The best candidate so far: ``jointly`` by the mean error, or for each variate by its own."""

    def __init__(self, *, jointly: bool):
        self.jointly = jointly
        self.options: list[RidgeOptions] = []
        self.weight, self.errors = torch.empty(0), torch.empty(0)

    def consider(self, options: RidgeOptions, weight: Tensor, errors: Tensor) -> None:
        """Take a candidate where it is better."""
        if not self.options:
            count = 1 if self.jointly else len(errors)
            self.options, self.errors = [options] * count, errors.clone()
            self.weight = weight if self.jointly else weight.expand(count, -1, -1).clone()
        elif self.jointly:
            if errors.mean() < self.errors.mean():
                self.options, self.weight, self.errors = [options], weight, errors
        else:
            for variate in torch.nonzero(errors < self.errors).flatten().tolist():
                self.options[variate] = options
                self.weight[variate] = weight[min(variate, len(weight) - 1)]
            self.errors = torch.minimum(errors, self.errors)

    def fit(self) -> RidgeFit:
        """What was best."""
        return RidgeFit(weight=self.weight, options=tuple(self.options), errors=self.errors)


def as_module(weight: Tensor, holes: bool = False) -> LinearPart:
    """A map (C or 1, T, L) as a network module in float32; ``holes``: whether windows may have some."""
    part = LinearPart(*weight.shape, holes=holes)
    part.weight = weight.float().contiguous()
    return part
