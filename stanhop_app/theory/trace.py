"""Energies layer by layer: how near inputs are to what a network makes of its training samples.

Each layer has a store of its own, of activations of training samples. Whether corrupted inputs come nearer
with depth is a question that is measured here, not a claim.

Shape letters: N samples, T layers.

References:
    "Beyond Scaling Laws", arXiv 2405.08707, section 4.2 and equation 7. Energies are ``E_t = -1/b log sum
    exp(-b |x - rho|^2)``; the paper writes ``exp(-g) / Z`` there, which is largest at the patterns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.theory.activations import activations
from stanhop_app.theory.energy import global_energy, scaled_beta

SEEN, UNSEEN, CORRUPTED = "seen", "unseen", "corrupted"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Energies of three groups of inputs at every layer, in units of 1 / beta."""

    layers: tuple[str, ...]
    betas: tuple[float, ...]
    """Beta of each layer (`stanhop_app.theory.energy.scaled_beta`)."""
    energies: dict[str, Float[Tensor, "T N"]]
    """Energies by group, each times its layer's beta, so that layers of other scales can be compared."""
    steps: dict[str, Float[Tensor, "T-1 N"]]
    """Squared distance from a layer's activation to the next one's; nan where their widths differ."""

    TITLE: ClassVar[str] = "Median energies by layer, times beta"
    MOVES: ClassVar[str] = (
        "Median squared step to each layer / squared distance of neighbours there"
    )

    def global_energies(self) -> dict[str, Float[Tensor, " N"]]:
        """Soft minimum over layers."""
        return {group: global_energy(energies) for group, energies in self.energies.items()}

    def table(self) -> pd.DataFrame:
        """Median energies, one row a layer and one for the global energy, one column a group."""
        columns = {
            group: energies.median(1).values.tolist() for group, energies in self.energies.items()
        }
        for group, energies in self.global_energies().items():
            columns[group].append(float(energies.median()))
        return pd.DataFrame(columns, index=pd.Index([*self.layers, "global"], name="layer"))

    def moves(self) -> pd.DataFrame:
        """Median step to every layer but the first, in units of the seen samples' distance of neighbours.

        Majorise-minimise, as which the paper reads the layers, wants steps that are small beside it.
        """
        scale = 2 * torch.tensor(self.betas[1:])
        columns = {
            group: (scale * steps.median(1).values).tolist() for group, steps in self.steps.items()
        }
        return pd.DataFrame(columns, index=pd.Index(self.layers[1:], name="layer"))


def energy_trace(
    model: nn.Module,
    seen: Tensor,
    unseen: Tensor,
    layers: Sequence[str],
    *,
    positions: Int[Tensor, " N"] | None = None,
    zone: int = 0,
    noise: float = 1.0,
    seed: int = 0,
) -> Trace:
    """Energies of seen samples (each without itself), of others, and of seen ones with noise added.

    Args:
        model: called with the inputs.
        seen: samples of the training, (N, ...) of floats.
        unseen: others.
        layers: names of modules whose output is one a sample.
        positions: where the seen samples lie in time.
        zone: samples less than this apart are no neighbours.
        noise: deviation of the noise, as a multiple of the inputs'.
        seed: of the noise.

    Raises:
        OptionError: for fewer than two seen samples, inputs that are no floats, no layers, or a zone that
            leaves a sample without neighbours.
    """
    if len(seen) < 2 or not layers:
        raise OptionError(
            f"two samples and one layer are needed, got {len(seen)} and {len(layers)}."
        )
    if not seen.is_floating_point():
        raise OptionError("inputs must be floats, so that noise can be added to them.")
    at = torch.arange(len(seen)) if positions is None else positions
    near = (at[:, None] - at[None]).abs() < max(zone, 1)
    draws = torch.randn(seen.shape, generator=torch.Generator().manual_seed(seed))
    groups = {SEEN: seen, UNSEEN: unseen, CORRUPTED: seen + noise * seen.std() * draws}
    energies: dict[str, list[Tensor]] = {name: [] for name in groups}
    states: dict[str, list[Tensor]] = {name: [] for name in groups}
    betas = []
    for layer in layers:
        states_of = {name: activations(model, x, layer) for name, x in groups.items()}
        store = states_of[SEEN]
        distances = {
            name: torch.cdist(x, store, compute_mode="donot_use_mm_for_euclid_dist").square()
            for name, x in states_of.items()
        }
        distances[SEEN] = distances[SEEN].masked_fill(near, float("inf"))
        distances[CORRUPTED] = distances[CORRUPTED].masked_fill(near, float("inf"))
        nearest = distances[SEEN].amin(1)
        if not torch.isfinite(nearest).all():
            raise OptionError(f"a zone of {zone} leaves a sample without neighbours.")
        beta = scaled_beta(nearest)
        betas.append(beta)
        for name, squares in distances.items():
            energies[name].append(-torch.logsumexp(-beta * squares, 1))
            states[name].append(states_of[name])
    return Trace(
        layers=tuple(layers),
        betas=tuple(betas),
        energies={name: torch.stack(values) for name, values in energies.items()},
        steps={name: _steps(values) for name, values in states.items()},
    )


def _steps(states: Sequence[Tensor]) -> Tensor:
    """Squared distance from each layer to the next; nan where widths differ."""
    moved = [
        (b - a).square().sum(1) if a.shape == b.shape else a.new_full((len(a),), float("nan"))
        for a, b in pairwise(states)
    ]
    return torch.stack(moved) if moved else states[0].new_zeros(0, len(states[0]))
