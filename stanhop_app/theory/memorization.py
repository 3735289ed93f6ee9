"""Has a network memorised what it was trained on? Distances, energies and losses, beside three controls.

A distance or an AUC alone says nothing: activations have a scale of their own, and the groups may differ for
other reasons than training. The same numbers are therefore always given for the inputs themselves, for an
untrained network, and for Gaussian numbers of the same covariance.

Shape letters: N members, M others, D width of an activation.

References:
    "Beyond Scaling Laws", arXiv 2405.08707, section 5 (nearest-neighbour distances), with what it lacks:
    leave-one-out, exclusion zones and controls.
"""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.theory.activations import activations
from stanhop_app.theory.bootstrap import Interval, auc, interval
from stanhop_app.theory.energy import scaled_beta
from stanhop_app.theory.neighbours import Neighbours

MARGIN = 0.05
"""Margin by which the interval of an AUC must lie above 1/2 to be called evidence."""
ADVICE = "train for fewer steps, or with more data or dropout"
TRAINED, UNTRAINED, INPUT, GAUSSIAN = "network", "untrained", "input", "Gaussian"
COLUMNS = ("width", "beta", "member_distance", "other_distance", "relative", "top_share")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Samples that a network was trained on, or others."""

    inputs: Tensor
    """(N, ...), what the network is called with."""
    losses: Float[Tensor, " N"]
    """Loss of the trained network on each sample."""
    naive_losses: Float[Tensor, " N"]
    """Loss of something that can have memorised nothing: how hard the sample is anyway."""
    positions: Int[Tensor, " N"]
    """Where each lies in time or text; neighbours within the exclusion zone are not counted."""


@dataclass(frozen=True, kw_only=True)
class SpaceReport:
    """Distances and energies in one space."""

    space: str
    width: int
    beta: float
    """Beta of the energies (`stanhop_app.theory.energy.scaled_beta`)."""
    member_distance: float
    """Median distance of a member to the nearest other one."""
    other_distance: float
    """Median distance of another sample to the nearest member."""
    ratio: Interval
    """``other_distance`` over ``member_distance``."""
    relative: float
    """``other_distance`` over the median distance of two members: small where all activations are alike."""
    by_store: tuple[float, ...]
    """``other_distance`` for 25, 50, 75 and 100% of the members."""
    energy_auc: Interval
    """Probability that another sample has the larger energy."""
    top_share: float
    """Share of the squared distances that the 1% of the dimensions with the most carry."""
    member_distances: tuple[float, ...]
    """Distance of every member to the nearest other one."""
    other_distances: tuple[float, ...]
    """Distance of every other sample to the nearest member."""


@dataclass(frozen=True, kw_only=True)
class MemorizationReport:
    """What there is to say, with its controls."""

    layer: str
    members: int
    others: int
    zone: int
    seed: int
    loss_auc: Interval
    """Probability that another sample has the larger loss."""
    naive_auc: Interval
    """Probability that another sample has the larger naive loss."""
    excess_auc: Interval
    """``loss_auc`` less ``naive_auc``, in the same draws."""
    spaces: tuple[SpaceReport, ...]
    other_losses: tuple[float, ...]
    """Loss of every other sample, in the order of its distances."""
    pairs: tuple[tuple[int, int, float], ...]
    """Nearest of the trained network's activations: number of the other sample, of the member, distance."""

    @property
    def memorised(self) -> bool:
        """Whether the losses are evidence.

        The interval of their AUC lies above 1/2 by a margin, that of what they tell beyond the naive losses
        above 0 by the same, and the inputs alone do not tell the groups apart as well.
        """
        return self.loss_auc.low > 0.5 + MARGIN and self._other_reason() is None

    @property
    def verdict(self) -> str:
        """One sentence."""
        measured = f"AUC of losses {self.loss_auc}, of energies {self.spaces[0].energy_auc}"
        if self.loss_auc.low <= 0.5 + MARGIN:
            return f"{measured}: no evidence of memorisation."
        reason = self._other_reason()
        if reason is None:
            return f"{measured}: evidence of memorisation; {ADVICE}."
        return (
            f"{measured}: members are told from the others, but {reason}: the groups differ, so that "
            "this is no proof of memorisation."
        )

    def _other_reason(self) -> str | None:
        """Why the losses may differ without any memory; None: nothing that is known."""
        if self.excess_auc.low <= MARGIN:
            return f"how hard they are tells as much ({self.naive_auc}; the losses more by {self.excess_auc})"
        inputs = next(space for space in self.spaces if space.space == INPUT).energy_auc
        if inputs.low > 0.5 + MARGIN and inputs.high >= self.loss_auc.low:
            return f"their inputs tell as much ({inputs})"
        return None

    @property
    def distance_tells_loss(self) -> float:
        """Rank correlation, over the other samples, of the distance to the nearest member with the loss."""
        ranks = [pd.Series(x).rank() for x in (self.spaces[0].other_distances, self.other_losses)]
        return ranks[0].corr(ranks[1])

    def table(self) -> pd.DataFrame:
        """One row a space."""
        rows = [
            {
                **{k: v for k, v in asdict(space).items() if k in COLUMNS},
                "ratio": str(space.ratio),
                "energy_auc": str(space.energy_auc),
            }
            for space in self.spaces
        ]
        return pd.DataFrame(rows, index=pd.Index([s.space for s in self.spaces], name="space"))

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "verdict": self.verdict}


def memorization_report(
    model: nn.Module,
    untrained: nn.Module,
    members: Group,
    others: Group,
    *,
    layer: str,
    zone: int = 0,
    seed: int = 0,
) -> MemorizationReport:
    """Compare samples of the training with others.

    Args:
        model: trained.
        untrained: the same with fresh weights.
        members: samples of the training.
        others: samples that it did not see, as like the members as can be had.
        layer: whose activations are compared.
        zone: samples less than this apart, by position, are no neighbours of each other (a sample and
            itself never are): windows that overlap share their numbers.
        seed: of the bootstrap and the Gaussian control.

    Raises:
        OptionError: for fewer than two samples, values that are not finite, or a zone that leaves a sample
            without neighbours.
    """
    for name, group in (("members", members), ("others", others)):
        if len(group.inputs) < 2:
            raise OptionError(f"{name} must be at least two, got {len(group.inputs)}.")
        if not torch.isfinite(torch.cat([group.losses, group.naive_losses])).all():
            raise OptionError(f"losses of {name} hold values that are not finite.")
    generator = torch.Generator().manual_seed(seed)

    def inside(network: nn.Module) -> tuple[Tensor, Tensor]:
        return (
            activations(network, members.inputs, layer),
            activations(network, others.inputs, layer),
        )

    trained = inside(model)
    spaces = {
        TRAINED: trained,
        UNTRAINED: inside(untrained),
        INPUT: (_numbers(members.inputs), _numbers(others.inputs)),
        GAUSSIAN: _gaussian(*trained, generator),
    }
    reports: list[SpaceReport] = []
    pairs: tuple[tuple[int, int, float], ...] = ()
    for name, (a, b) in spaces.items():
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            raise OptionError(f"{name}: holds values that are not finite.")
        own = Neighbours(a, a, members.positions, members.positions, zone, same=True)
        across = Neighbours(b, a, others.positions, members.positions, zone)
        if name == TRAINED:
            pairs = across.pairs()
        reports.append(_space(name, a, own, across, generator))
    losses, naive, excess = loss_intervals(members, others, generator)
    return MemorizationReport(
        layer=layer,
        members=len(members.inputs),
        others=len(others.inputs),
        zone=zone,
        seed=seed,
        loss_auc=losses,
        naive_auc=naive,
        excess_auc=excess,
        spaces=tuple(reports),
        other_losses=tuple(others.losses.tolist()),
        pairs=pairs,
    )


def loss_intervals(
    members: Group, others: Group, generator: torch.Generator
) -> tuple[Interval, Interval, Interval]:
    """What losses tell of membership: AUC of the losses, of the naive losses, and how much more the first."""
    return (
        interval(auc, others.losses, members.losses, generator),
        interval(auc, others.naive_losses, members.naive_losses, generator),
        interval(_excess, _both(others), _both(members), generator),
    )


def _space(
    name: str, a: Tensor, own: Neighbours, across: Neighbours, generator: torch.Generator
) -> SpaceReport:
    beta = scaled_beta(own.nearest.square())
    carried = across.differences.sum(0)
    top = max(1, carried.shape[0] // 100)
    order = torch.randperm(len(a), generator=generator)
    by_store = tuple(
        float(across.distances[:, order[: max(1, len(a) * share // 100)]].amin(1).median())
        for share in (25, 50, 75, 100)
    )
    return SpaceReport(
        space=name,
        width=a.shape[1],
        beta=beta,
        member_distance=float(own.nearest.median()),
        other_distance=float(across.nearest.median()),
        ratio=interval(_ratio, across.nearest, own.nearest, generator),
        relative=float(across.nearest.median() / own.all.median().clamp_min(1e-12)),
        by_store=by_store,
        energy_auc=interval(auc, across.energies(beta), own.energies(beta), generator),
        top_share=float(carried.topk(top).values.sum() / carried.sum().clamp_min(1e-12)),
        member_distances=tuple(own.nearest.tolist()),
        other_distances=tuple(across.nearest.tolist()),
    )


def _ratio(one: Tensor, other: Tensor) -> float:
    return float(one.median() / other.median().clamp_min(1e-12))


def _both(group: Group) -> Float[Tensor, "N 2"]:
    return torch.stack([group.losses, group.naive_losses], dim=1)


def _excess(one: Float[Tensor, "N 2"], other: Float[Tensor, "M 2"]) -> float:
    return auc(one[:, 0], other[:, 0]) - auc(one[:, 1], other[:, 1])


def _numbers(inputs: Tensor) -> Tensor:
    """Inputs as vectors; of tokens, how often each occurs."""
    if inputs.is_floating_point():
        return inputs.flatten(1).float()
    return nn.functional.one_hot(inputs).float().mean(1)


def _gaussian(a: Tensor, b: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two groups of Gaussian numbers with the members' mean and covariance."""
    mean = a.mean(0)
    _, spread, directions = torch.linalg.svd(a - mean, full_matrices=False)
    scale = spread[:, None] * directions / (len(a) - 1) ** 0.5
    first, second = (
        mean + torch.randn(len(group), len(scale), generator=generator) @ scale for group in (a, b)
    )
    return first, second
