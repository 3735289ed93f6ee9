"""How fast training converges under each association, and how the error falls with the samples.

A small ViT of three blocks over a class token and four patches of half an image each, as the paper's images
of 64 pixels with patches of 32; the sizes are those of its table 3.

References:
    Hu et al., arXiv 2404.03828, table 3 and the figures of convergence and of generalisation. The released
    code never hands the association to the network, so that its curves are of softmax alone; it has no
    embedding of positions, which ours (`stanhop_app.models.vit.ViT`) has, and uses a learning rate of
    1e-3 and a hidden width of 2048 where the table says 1e-4 and 1024. We take the table's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.stats import t as student
from torch import Tensor

from stanhop_app.datasets.images import load_images
from stanhop_app.errors import OptionError
from stanhop_app.layers.association import find_association
from stanhop_app.models.vit import ViT, ViTConfig
from stanhop_app.studies.cells import fill, open_results
from stanhop_app.studies.config import ConvergenceExperiment
from stanhop_app.studies.steps import train_steps
from stanhop_app.training.draws import drawing

KIND, VERSION = "convergence", 1
"""Kind and version of the results file."""
LOOKS = 40
"""Points of a curve, evenly spaced over the steps."""
FEWEST = 3
"""Seeds from which a difference can be told."""
REFERENCE, OURS = "softmax", "softmax1"
"""Associations that the verdict compares."""


def learning_curve(
    association: str, samples: int, seed: int, experiment: ConvergenceExperiment
) -> dict[str, list[float]]:
    """Train one network, and return its loss on what it learns from and its error on the held-out images.

    Args:
        association: of every retrieval.
        samples: images to learn from.
        seed: of the images, the weights, the batches and dropout: two associations differ in nothing else.
        experiment: the rest.

    Returns:
        "step", "train_loss" (nats, without dropout) and "test_error" (share of wrong classes).
    """
    (x, y), (test_x, test_y) = _images(samples, seed, experiment)
    every = max(1, experiment.max_steps // LOOKS)
    curve: dict[str, list[float]] = {"step": [], "train_loss": [], "test_error": []}

    @torch.no_grad()
    def look(step: int) -> None:
        network.eval()
        curve["step"].append(step)
        curve["train_loss"].append(F.cross_entropy(network(x), y).item())
        curve["test_error"].append((network(test_x).argmax(1) != test_y).float().mean().item())
        network.train()

    with drawing(seed):
        network = make_network(association, x, experiment)
        look(0)
        steps = train_steps(
            network,
            x,
            y,
            max_steps=experiment.max_steps,
            batch_size=experiment.batch_size,
            learning_rate=experiment.learning_rate,
            seed=seed,
        )
        for step in steps:
            if step % every == 0 or step == experiment.max_steps:
                look(step)
    return curve


def make_network(
    association: str, images: Float[Tensor, "N I Y X"], experiment: ConvergenceExperiment
) -> ViT:
    """The network for images of this size, with fresh weights."""
    config = ViTConfig(
        image_size=images.shape[-1],
        patch_size=images.shape[-1] // 2,
        channels=images.shape[1],
        num_classes=_source(experiment.data)[2],
        dim=experiment.dim,
        hidden_dim=experiment.hidden_dim,
        num_layers=experiment.num_layers,
        num_heads=experiment.num_heads,
        dropout=experiment.dropout,
        association=association,
    )
    return ViT(config)


def compare_convergence(
    associations: Sequence[str],
    sizes: Sequence[int],
    seeds: Sequence[int],
    experiment: ConvergenceExperiment,
    *,
    results: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Fill the cells, one an association, number of images and seed, and return all.

    Args:
        associations: names in `stanhop_app.layers.ASSOCIATIONS`.
        sizes: numbers of images to learn from.
        seeds: of each.
        experiment: what all cells have in common.
        results: JSON file that grows cell by cell; None: nothing is written.
        say: told of every cell that begins.

    Raises:
        OptionError: for an unknown association, or more images than there are.
    """
    for association in associations:
        find_association(association)
    available = len(_source(experiment.data)[0]) - experiment.held_out
    if not (associations and seeds and sizes) or not 1 <= min(sizes) <= max(sizes) <= available:
        raise OptionError(
            f"{experiment.data} has {available:,} images beside {experiment.held_out} held out; learn from 1 "
            f"to that many, got {', '.join(map(str, sizes)) or 'none'}."
        )
    return fill(
        open_results(results, KIND, VERSION, {"options": asdict(experiment)}),
        results,
        [
            {"association": association, "samples": size, "seed": seed}
            for seed in seeds
            for size in sizes
            for association in associations
        ],
        lambda cell, folder: {
            "curve": learning_curve(cell["association"], cell["samples"], cell["seed"], experiment)
        },
        name=lambda cell: "{association}, {samples} images, seed {seed}".format(**cell),
        say=say,
    )


def curve_table(content: Mapping[str, Any], samples: int) -> pd.DataFrame:
    """Training loss of every association by step, mean and deviation over seeds, for one number of images."""
    rows = [
        {"association": cell["association"], "step": step, "loss": loss}
        for cell in content["cells"].values()
        if cell["samples"] == samples
        for step, loss in zip(cell["curve"]["step"], cell["curve"]["train_loss"], strict=True)
    ]
    groups = pd.DataFrame(rows).groupby(["association", "step"], sort=False)["loss"]
    return pd.DataFrame({"loss": groups.mean(), "sd": groups.std(ddof=1).fillna(0.0)})


def convergence_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row an association and number of images, means and deviations over seeds.

    "mean_loss" is the training loss averaged over all steps, small where convergence is fast; "half_step"
    the first step looked at whose loss is half of that at the start.
    """
    rows = []
    for cell in content["cells"].values():
        curve = cell["curve"]
        losses = np.array(curve["train_loss"])
        below = np.flatnonzero(losses <= losses[0] / 2)
        rows.append(
            {
                "samples": cell["samples"],
                "association": cell["association"],
                "mean_loss": float(losses.mean()),
                "half_step": float(curve["step"][below[0]]) if len(below) else np.nan,
                "train_loss": float(losses[-1]),
                "test_error": curve["test_error"][-1],
            }
        )
    groups = pd.DataFrame(rows).groupby(["samples", "association"], sort=False)
    half = groups["half_step"].apply(lambda steps: steps.mean(skipna=False))
    spread = groups.std(ddof=1).fillna(0.0).add_suffix("_sd")
    table = groups.mean().assign(half_step=half, seeds=groups.size())
    return table.join(spread[["mean_loss_sd", "test_error_sd"]])


def convergence_claim(content: Mapping[str, Any]) -> str:
    """Whether softmax1 converges faster than softmax, and errs less, in a sentence.

    Differences are of the same images, batches and seed, for the largest number of images; one counts if its
    95% interval, by Student's t, does not hold 0. Fewer than three seeds tell nothing.

    Raises:
        OptionError: if the results lack one of the two.
    """
    largest = max(cell["samples"] for cell in content["cells"].values())
    results: dict[str, dict[int, tuple[float, float]]] = {REFERENCE: {}, OURS: {}}
    for cell in content["cells"].values():
        if cell["samples"] == largest and cell["association"] in results:
            curve = cell["curve"]
            pair = (float(np.mean(curve["train_loss"])), curve["test_error"][-1])
            results[cell["association"]][cell["seed"]] = pair
    seeds = sorted(set(results[REFERENCE]) & set(results[OURS]))
    if not seeds:
        raise OptionError(f"the claim compares {REFERENCE} and {OURS}; the results lack one.")
    differences = np.array([np.subtract(results[OURS][s], results[REFERENCE][s]) for s in seeds])
    findings = []
    for column, what in ((0, "mean training loss"), (1, "error on held-out images")):
        mean = differences[:, column].mean()
        half = _half_interval(differences[:, column])
        told = "lower" if mean < -half else "higher" if mean > half else "no different"
        ours, other = (np.mean([results[a][s][column] for s in seeds]) for a in (OURS, REFERENCE))
        findings.append(
            f"{what} {told} ({ours:.4f}, {REFERENCE} {other:.4f}, difference {mean:+.4f} ± {half:.4f})"
        )
    seed = "seed" if len(seeds) == 1 else "seeds"
    return f"{OURS} over {largest:,} images, {len(seeds)} {seed}: {'; '.join(findings)}."


def _half_interval(values: np.ndarray) -> float:
    """Half the width of the 95% interval of a mean; infinite for fewer than three values."""
    if len(values) < FEWEST:
        return float("inf")
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)


def _images(
    samples: int, seed: int, experiment: ConvergenceExperiment
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images to learn from, drawn by the seed, and those held out, which are always the same."""
    pixels, labels, _ = _source(experiment.data)
    held = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    test, rest = held[: experiment.held_out], held[experiment.held_out :]
    draw = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))
    train = rest[draw[:samples]]
    mean, deviation = pixels[train].mean(), pixels[train].std().clamp_min(1e-6)
    scaled = (pixels - mean) / deviation
    return (scaled[train], labels[train]), (scaled[test], labels[test])


@cache
def _source(name: str) -> tuple[Float[Tensor, "N I Y X"], Int[Tensor, " N"], int]:
    """Pixels, classes and the number of classes.

    Raises:
        OptionError: for images that four patches do not fill.
    """
    images = load_images(name)
    height, width = images.pixels.shape[2:]
    if height != width or height % 2:
        raise OptionError(
            f"{name}: images must be square with an even side, got {height} x {width} pixels."
        )
    pixels = torch.from_numpy(images.pixels).float()
    return pixels, torch.from_numpy(images.labels), len(images.classes)
