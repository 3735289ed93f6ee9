"""How new is a window? Its distance from the training windows, and which of these are nearest.

What a network makes of training windows, the mean output of its last encoder block, is kept with a run.
The energy of a window's own activation against that store, as a percentile of the energies that training
windows have against each other, is its *novelty*: 97 says that 97% of them are nearer to the rest.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from pandas.tseries.frequencies import to_offset
from torch import Tensor

from stanhop_app.data.frequency import is_weekly
from stanhop_app.errors import ArtefactError, DataError
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.outliers import find_modules
from stanhop_app.runs.run import Run
from stanhop_app.theory.activations import activations
from stanhop_app.theory.energy import distance_energy, scaled_beta
from stanhop_app.training.checkpoint import load_tensors, save_hashed
from stanhop_app.training.folder import belonging

NOVELTY = "novelty.safetensors"
"""Name of the file in a run folder."""
MOST = 1500
"""Training windows that are kept, evenly spaced."""
NEAREST = 3
"""Training windows that an explanation names."""


@dataclass(frozen=True, kw_only=True)
class NoveltyStore:
    """Activations of training windows; those are standardised by their own mean and deviation."""

    patterns: Float[Tensor, "N D"]
    mean: Float[Tensor, " D"]
    deviation: Float[Tensor, " D"]
    origins: Int[Tensor, " N"]
    """Row that follows each window."""
    energies: Float[Tensor, " N"]
    """Energies of the patterns, each against those that share no row with it, in ascending order."""
    beta: float
    """`stanhop_app.theory.energy.scaled_beta` of the nearest such."""

    def energy(self, activations: Float[Tensor, "M D"]) -> Float[Tensor, " M"]:
        """Distance energy of activations."""
        return distance_energy(self._standard(activations), self.patterns, self.beta)

    def novelty(self, activations: Float[Tensor, "M D"]) -> Float[Tensor, " M"]:
        """Percentile, 0 to 100, of each energy among those of the training windows."""
        ranks = torch.searchsorted(self.energies, self.energy(activations))
        return 100 * ranks / len(self.energies)

    def distances(self, activation: Float[Tensor, " D"]) -> Float[Tensor, " N"]:
        """Distances of one activation to every training window's."""
        return (self.patterns - self._standard(activation)).norm(dim=1)

    def _standard(self, activations: Tensor) -> Tensor:
        return (activations - self.mean) / self.deviation


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a forecast rests on."""

    novelty: float
    """Percentile of the window's energy among training windows."""
    nearest: pd.DataFrame
    """Nearest training windows, one row each: distance, first and last time stamp (or row)."""

    def __str__(self) -> str:
        lines = [
            f"the window is newer than {self.novelty:.0f}% of the training windows; nearest to it:"
        ]
        lines += [
            f"  {row.start} to {row.end} (distance {row.distance:.2f})"
            for row in self.nearest.itertuples()
        ]
        return "\n".join(lines)


def remember(run: Run, *, most: int = MOST) -> NoveltyStore:
    """The store of a run.

    Windows that share a row with a window say nothing of how new it is: its energy leaves them out.

    Args:
        run: on the table of its training.
        most: training windows kept.

    Raises:
        DataError: if there are too few training windows for one to have others that share no row with it.
    """
    train, fitted = run.parts["train"], run.fitted
    count = min(most, len(train))
    chosen = torch.arange(count) * len(train) // count
    origins = chosen + max(train.first, train.lookback)
    activations = torch.cat(
        [window_activations(fitted, train.gather(b)[0]) for b in chosen.split(64)]
    )
    mean, deviation = activations.mean(0), activations.std(0).clamp_min(1e-6)
    patterns = (activations - mean) / deviation
    distances = torch.cdist(patterns, patterns, compute_mode="donot_use_mm_for_euclid_dist")
    zone = fitted.lookback + fitted.horizon
    distances[(origins[:, None] - origins[None]).abs() < zone] = float("inf")
    nearest = distances.amin(1)
    if not torch.isfinite(nearest).all():
        raise DataError(
            f"{len(train)} training windows of {fitted.lookback} rows overlap too much to tell what is "
            "new; bring more rows, or a smaller lookback."
        )
    beta = scaled_beta(nearest.square())
    energies = -torch.logsumexp(-beta * distances.square(), 1) / beta
    return NoveltyStore(
        patterns=patterns,
        mean=mean,
        deviation=deviation,
        origins=origins,
        energies=energies.sort().values,
        beta=beta,
    )


def explain(run: Run, store: NoveltyStore, table: pd.DataFrame | None = None) -> Explanation:
    """Novelty of the window that a forecast is made from, and the training windows nearest to it.

    Args:
        run: a run.
        store: of it (`remember`, `load_store`).
        table: as of `STanHopForecaster.predict`; None: the rows kept at training.
    """
    fitted = run.fitted
    given = fitted.context if table is None else table
    rows = given[list(fitted.columns)].to_numpy(dtype=np.float64)[-fitted.lookback :]
    window = torch.from_numpy(fitted.scaler.transform(rows)).float()[None]
    activation = window_activations(fitted, window)
    distances = store.distances(activation[0])
    chosen = _apart(distances, store.origins, fitted.lookback)
    times = _times(fitted)
    nearest = pd.DataFrame(
        {
            "distance": distances[chosen].tolist(),
            "start": [times[int(o) - fitted.lookback] for o in store.origins[chosen]],
            "end": [times[int(o) - 1] for o in store.origins[chosen]],
        }
    )
    return Explanation(novelty=float(store.novelty(activation)[0]), nearest=nearest)


def save_store(store: NoveltyStore, path: Path) -> str:
    """Write a store, without pickle; its SHA-256, after which the file is named."""
    names = ("patterns", "mean", "deviation", "origins", "energies")
    tensors = {name: getattr(store, name) for name in names}
    return save_hashed(path, tensors, {"beta": store.beta})


def load_store(run: Run) -> NoveltyStore:
    """The store that a run folder keeps.

    Raises:
        ArtefactError: if there is none, or it is damaged or of another training.
    """
    wanted = run.source.get("novelty_sha256")
    if wanted is None or run.folder is None:
        raise ArtefactError(
            f"{run.folder}: keeps nothing of its training windows; train it with --novelty to explain "
            "forecasts."
        )
    path = belonging(run.folder, NOVELTY, wanted)
    tensors, header = load_tensors(path)
    return NoveltyStore(**tensors, beta=header["beta"])


def window_activations(fitted: Fitted, windows: Float[Tensor, "M T C"]) -> Float[Tensor, "M D"]:
    """Mean output of the last encoder block for every window, of scaled units."""
    deep = fitted.network.deep
    blocks = [n for n in find_modules(deep, "layer-outputs") if n.startswith("blocks.")]
    return activations(deep, windows, blocks[-1])


def _apart(distances: Tensor, origins: Tensor, lookback: int) -> list[int]:
    """The nearest windows, no two of which share a row."""
    chosen: list[int] = []
    for i in distances.argsort().tolist():
        if all(abs(int(origins[i] - origins[j])) >= lookback for j in chosen):
            chosen.append(i)
        if len(chosen) == NEAREST:
            break
    return chosen


def _times(fitted: Fitted) -> pd.Index:
    """Time stamps of all rows of the table of the training, or their numbers.

    A calendar of a week does not tell which rows were not there, so that rows have their numbers.
    """
    end = fitted.context.index[-1]
    if not isinstance(end, pd.Timestamp) or fitted.frequency is None or is_weekly(fitted.frequency):
        return pd.RangeIndex(fitted.num_rows)
    return pd.date_range(end=end, periods=fitted.num_rows, freq=to_offset(fitted.frequency))
