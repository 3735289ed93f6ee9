"""The paper's table 1 at any scale: models x variants x seeds, outliers, float and low-bit scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stanhop_app.command_line import spell
from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.layers.memory_cost import count_cost
from stanhop_app.models.config import ViTConfig, default_clip
from stanhop_app.models.variants import parse_variant
from stanhop_app.studies.cells import fill, open_results, trained_cells
from stanhop_app.suite.config import MODELS, SuiteConfig
from stanhop_app.suite.corpus import Corpus
from stanhop_app.suite.run import SuiteRun, as_identity, load_data, train_run
from stanhop_app.suite.scores import measure, score_bits
from stanhop_app.suite.start import OF_WEIGHTS, carry_over
from stanhop_app.suite.tasks import make_task
from stanhop_app.training.same import difference

KIND, VERSION = "suite", 1
"""Kind and version of the results file; the version rises when cells hold something else or are
made otherwise."""
BITS = ("W8A8", "W6A6", "W4A8", "W4A4")
PLAIN = {"n": 1.0, "learn_n": False, "learn_beta": False}
"""Attention of a variant that says nothing of it, where the cells start from a run that may have other."""
GATE = "linear"
"""Gate of gated variants; it is that of ViT and OPT, BERT's is "mlp"."""


def compare_suite(
    config: SuiteConfig,
    *,
    variants: Sequence[str],
    seeds: Sequence[int],
    results: Path,
    start: SuiteRun | None = None,
    clip: tuple[float, float] | None = None,
    gate: str = GATE,
    say: Callable[[str], None] = lambda text: None,
    progress: bool | None = False,
) -> dict[str, Any]:
    """Fill the cells of one model that are missing in a results file, and return its content.

    Several models can share a file; each keeps the options of its first comparison. A cell that was
    interrupted goes on from its checkpoint, in the folder ``<results>.cells``.

    Args:
        config: of all cells; association, clip, gate and seed come from the variants and seeds.
        variants: names (`stanhop_app.models.variants.parse_variant`).
        seeds: of the networks.
        results: JSON file; a cell is written when it is done.
        start: a run whose weights all cells start from, with ``config`` of `continued`.
        clip: (gamma, zeta) of clipped variants; None: `stanhop_app.models.config.default_clip` of the tokens.
        gate: kind of gate of gated variants.
        say: told of every cell that begins.
        progress: whether to draw a bar for every training.

    Raises:
        ArtefactError: if the file holds results of other options or other data.
        OptionError: for variants that cannot be, before anything is trained.
        TrainingError: if no cell could be trained.
    """
    if not (variants and seeds):
        raise OptionError("variants and seeds must name at least one each.")
    content = open_results(results, KIND, VERSION, {})
    corpus = load_data(config, None if start is None else start.tokenizer)
    clip = clip or default_clip(num_tokens(config, corpus))
    options = {name: parse_variant(name, clip=clip, gate=gate) for name in variants}
    for name in variants:  # bad options fail before anything is trained
        network = _with(config, options[name], seeds[0]).make_network(corpus)
        if start is not None:
            _check_carried(name, start, network)
    common = {**as_identity(config), "clip": list(clip), "gate": gate, "sha256": corpus.sha256}
    del common["seed"]  # which of its cells differ in
    _check_common(content, config.model, common, results)
    if config.model not in content.setdefault("shared_by", {}):
        there = [c["variant"] for c in trained_cells(content) if c["model"] == config.model]
        content["shared_by"][config.model] = list(dict.fromkeys(there or variants))
    return fill(
        content,
        results,
        [{"model": config.model, "variant": v, "seed": seed} for seed in seeds for v in variants],
        lambda cell, folder: _cell(
            _with(config, options[cell["variant"]], cell["seed"]), corpus, start, folder, progress
        ),
        name=lambda cell: "{model}, {variant}, seed {seed}".format(**cell),
        say=say,
        identity={"kind": KIND, "version": VERSION, "options": common},
    )


def num_tokens(config: SuiteConfig, corpus: Corpus) -> int:
    """Tokens that a query sees."""
    if corpus.is_text:
        return config.length
    patch: int = config.network.get("patch_size", ViTConfig.patch_size)
    return (corpus.inputs["train"].shape[-1] // patch) ** 2 + 1


def _check_common(
    content: dict[str, Any], model: str, common: Mapping[str, Any], results: Path
) -> None:
    """Note what the cells of a model have in common, or refuse if the file has others."""
    saved = content.setdefault("models", {}).setdefault(model, dict(common))
    usual = as_identity(SuiteConfig(model=model))  # of options that there were not
    other = difference({**usual, **saved}, common)
    if other is not None:
        name, kept, value = other
        raise ArtefactError(
            f"{results}: its cells of {model} were made with {name}={kept}, asked is {value}; name another "
            "file."
        )


def _check_carried(variant: str, start: SuiteRun, network: nn.Module) -> None:
    """Refuse a variant that the weights of a run do not fit, by its name."""
    try:
        carry_over(start.network.state_dict(), network)
    except OptionError as error:
        raise OptionError(
            f"variant {variant!r}: {error} A comparison starts from a run whose weights all variants have."
        ) from None


def _with(config: SuiteConfig, variant: Mapping[str, Any], seed: int) -> SuiteConfig:
    """The configuration of a variant, which takes over nothing of a run's attention that it does not name."""
    plain = PLAIN if config.start else {}
    return replace(config, seed=seed, network={**config.network, **plain, **variant})


def _cell(
    config: SuiteConfig,
    corpus: Corpus,
    start: SuiteRun | None,
    folder: Path | None,
    progress: bool | None,
) -> dict[str, Any]:
    """Train and measure one network; JSON values."""
    run = train_run(config, corpus, start=start, folder=folder, resume=True, progress=progress)
    task = make_task(config.model, corpus)
    speeds = [row["samples_per_second"] for row in run.history]
    return {
        "metrics": dict(run.metrics),
        "bits": {bits: score_bits(run.network, task, bits) for bits in BITS},
        **measure(run.network, task),
        "steps": dict(run.steps),
        "parameters": sum(p.numel() for p in run.network.parameters()),
        "multiply_adds": multiply_adds(run.network, task.batches("test", 1)[0]),
        "validation_loss": min(row["validation_loss"] for row in run.history),
        "samples_per_second": speeds[-1],
    }


def multiply_adds(network: nn.Module, sample: Tensor) -> int:
    """Multiply-adds of one sample, in projections, feed-forward networks, embedding of patches and head.

    Products of activations with each other, in attention, are left out.
    """
    config: Any = network.config
    with torch.no_grad():
        counted = count_cost(network, sample).multiply_adds
    if isinstance(config, ViTConfig):
        patches = (config.image_size // config.patch_size) ** 2
        return counted + patches * config.channels * config.patch_size**2 * config.dim
    if getattr(config, "modern", False):  # whose head is a map of its own
        return counted
    return counted + sample.shape[1] * config.dim * int(
        config.vocab_size
    )  # a product with the embedding


def command_lines(content: Mapping[str, Any], output: str) -> list[str]:
    """The commands that fill a results file with the cells that it has, one a model."""
    lines = []
    for model in dict.fromkeys(cell["model"] for cell in content["cells"].values()):
        cells = [cell for cell in content["cells"].values() if cell["model"] == model]
        common = dict(content["models"][model])
        network = {**common.pop("network"), **common.pop("training")}
        for name in ("model", "sha256"):
            del common[name]
        if common.pop("start", ""):  # its folder lies where its owner has it, and says the rest
            network = {}
            common = {"from": "RUN", **{n: v for n, v in common.items() if n not in OF_WEIGHTS}}
        chosen = {
            name: ",".join(dict.fromkeys(str(cell[key]) for cell in cells))
            for name, key in (("variants", "variant"), ("seeds", "seed"))
        }
        base = SuiteConfig(model=model)
        defaults = {**asdict(base), **_defaults(model), "gate": GATE, "seeds": "0,1"}
        options = {**common, **network, **chosen, "output": output}
        lines.append(spell(["suite", "compare", model], options, defaults))
    return lines


def describe(content: Mapping[str, Any], model: str) -> str:
    """One line that says what the cells of a model were made from."""
    common = content["models"][model]
    network = {**_defaults(model), **common["network"]}
    size = ", ".join(f"{n} {network[n]}" for n in ("dim", "num_layers", "num_heads", "hidden_dim"))
    rest = [
        f"{common['max_steps']:,} steps of {common['batch_size']}",
        f"learning rate {common['learning_rate']:g}",
        f"weight decay {common['weight_decay']:g}"
        + ("" if common["decay_gains"] else ", not of gains"),
        f"dropout {network['dropout']:g}",
    ]
    if model == "vit":
        rest.append("patch norm" if network["patch_norm"] else "no patch norm")
    else:
        rest.append(f"{common['length']} tokens of {common['vocab_size']:,} at most")
    gamma, zeta = common["clip"]
    rest.append(f"clip ({gamma:g}, {zeta:g}), gate {common['gate']}")
    return f"{model} on {common['data']}: {size}, {', '.join(rest)}"


def _defaults(model: str) -> dict[str, Any]:
    return asdict(MODELS[model]())
