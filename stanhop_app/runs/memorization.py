"""Has a forecaster memorised its training windows?"""

import torch

from stanhop_app.data.windows import Windows
from stanhop_app.errors import DataError
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import DeepPart
from stanhop_app.outliers import find_modules
from stanhop_app.runs.packed import Packed, packed, places
from stanhop_app.runs.run import Run
from stanhop_app.theory.memorization import (
    ADVICE,
    MARGIN,
    Group,
    MemorizationReport,
    loss_intervals,
    memorization_report,
)
from stanhop_app.theory.trace import Trace, energy_trace
from stanhop_app.training.draws import drawing

MOST = 500
"""Windows of a part, evenly spaced."""


def run_memorization(
    run: Run,
    *,
    part: str = "test",
    most: int = MOST,
    seed: int = 0,
) -> MemorizationReport:
    """Training windows against windows of another part, by the last encoder block's outputs in the deep part.

    The other part is *later*: where the series drifts, the groups differ already by their inputs, or by how
    hard they are for a forecast of the last value, which are shown beside. Windows that share a row are
    no neighbours of each other.

    Args:
        run: on the table of its training.
        part: "test" or "validation".
        most: windows of a part.
        seed: of the untrained network and the bootstrap.

    Raises:
        DataError: if the table is another one, or a part has fewer than two windows.
    """
    parts, deep = run.parts, run.fitted.network.deep
    with drawing(seed + 1):
        untrained = DeepPart(deep.config)
        if untrained.anchor is not None and deep.anchor is not None:
            untrained.anchor.load_state_dict(deep.anchor.state_dict())
    blocks = [n for n in find_modules(deep, "layer-outputs") if n.startswith("blocks.")]
    zone = run.fitted.lookback + run.fitted.horizon
    members, others = (_group(deep, parts[name], most) for name in ("train", part))
    networks = Packed(deep), Packed(untrained)
    return memorization_report(*networks, members, others, layer=blocks[-1], zone=zone, seed=seed)


def memorization_warning(run: Run, *, seed: int = 0) -> str | None:
    """What to say of a fit whose deep part has memorised its windows, and what to do; None if it has not.

    It is told by losses on training and validation windows alone: the interval of their AUC lies above 1/2 by
    a margin, and that of what they tell beyond a forecast of the last value above 0 by the same.
    `run_memorization` looks closer. No test window is read.

    Args:
        run: on the table of its training.
        seed: of the bootstrap.
    """
    parts, deep = run.parts, run.fitted.network.deep
    if min(len(parts[name]) for name in ("train", "validation")) < 2:
        return None  # an AUC of a single window tells nothing
    members, others = (_group(deep, parts[name], MOST) for name in ("train", "validation"))
    generator = torch.Generator().manual_seed(seed)
    losses, naive, excess = loss_intervals(members, others, generator)
    if losses.low <= 0.5 + MARGIN or excess.low <= MARGIN:
        return None
    return (
        f"the deep part has memorised training windows: it errs less on them than on validation windows "
        f"(AUC {losses}; a forecast of the last value: {naive}); {ADVICE}."
    )


def run_trace(run: Run, *, most: int = MOST, seed: int = 0) -> Trace:
    """Energies of training, test and corrupted training windows at every block of the encoder.

    Args:
        run: on the table of its training.
        most: windows of a part.
        seed: of the noise.
    """
    parts, deep = run.parts, run.fitted.network.deep
    seen, unseen = (_group(deep, parts[part], most) for part in ("train", "test"))
    blocks = [n for n in find_modules(deep, "layer-outputs") if n.startswith("blocks.")]
    return energy_trace(
        Packed(deep),
        seen.inputs,
        unseen.inputs,
        ["embedding", *blocks],
        positions=seen.positions,
        zone=run.fitted.lookback + run.fitted.horizon,
        seed=seed,
    )


@torch.no_grad()
def _group(deep: DeepPart, windows: Windows, most: int) -> Group:
    if len(windows) < 2:
        raise DataError(f"a part of the split has {len(windows)} windows; two are needed.")
    count = min(most, len(windows))
    chosen = torch.arange(count) * len(windows) // count
    inputs, losses, naive = [], [], []
    for batch in chosen.split(64):
        x, y = windows.gather(batch)
        inputs.append(packed(deep, windows, batch))
        made = deep(x, **windows.beside(batch))
        last = (between(x) if deep.config.holes else x)[:, -1:]
        losses.append((made - y).square().nanmean((1, 2)))
        naive.append((last - y).square().nanmean((1, 2)))
    told = torch.cat(losses)
    known = ~told.isnan()  # of some windows with holes nobody knows what came
    return Group(
        inputs=torch.cat(inputs)[known],
        losses=told[known],
        naive_losses=torch.cat(naive)[known],
        positions=places(windows, chosen, windows.lookback + windows.horizon)[known],
    )
