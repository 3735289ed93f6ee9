"""A training that starts from the weights of another run, in the same network or with other attention.

Every map of the old network is carried over. What the new attention has and the old one lacks starts so
that the network begins as the old one, but for the association: learned temperatures, no-op classes and
exponents stand where they are not learned; a gate lets ``gate_init`` through, its weights are near zero, and
the output projection behind it is divided by ``gate_init``. The papers divide the gate instead: that is the
same function, and would be one more option.

References:
    Bondarenko, Nagel and Blankevoort, arXiv 2306.12929, section 5.3 (gates for networks that were trained
    without: scale 1 / pi_init, weights of deviation 0.01); Hu et al., arXiv 2404.03828.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import find_association
from stanhop_app.layers.hopfield import Hopfield
from stanhop_app.suite.config import MODELS, OF_DATA, SuiteConfig

GATE_DEVIATION = 0.01
"""Deviation of the first weights of a gate, as in the reference."""
LEARNED = ("log_beta", "log_n", "alpha_logit")
"""Numbers of a `Hopfield` layer that start where the layer stands that does not learn them."""
OPTION_OF = {
    "log_beta": "--learn-beta",
    "log_n": "--learn-n",
    "alpha_logit": "--association entmax",
    "gate": "--gate, of the same kind",
}
"""What to say so that weights of a run have a place."""
OTHER = ("association", "clip", "n", "learn_n", "learn_beta", "gate", "gate_init", "dropout")
"""Options of the network that may differ from those of the run that a training starts from."""
OF_WEIGHTS = ("model", "length", "vocab_size")
"""Options outside of the network that fix shapes of weights."""


def continued(of_run: SuiteConfig, told: Mapping[str, object], weights: str) -> SuiteConfig:
    """The configuration of a training that starts from a run: what is not said is as there.

    Args:
        of_run: the configuration of the run.
        told: what somebody said, of the training and of the network, by name.
        weights: SHA-256 of the run's weights.

    Raises:
        OptionError: for an option that the run's weights have no shape for.
    """
    known = {f.name: f.default for f in fields(MODELS[of_run.model]) if f.name not in OF_DATA}
    network, training = dict(of_run.network), dict[str, Any]()
    for name, value in told.items():
        inside = name in known
        before = network.get(name, known[name]) if inside else getattr(of_run, name)
        fixed = name not in OTHER if inside else name in OF_WEIGHTS
        if fixed and value != before:
            raise OptionError(
                f"{name} is {before} in the run that the training starts from, whose weights have no other; "
                f"got {value}."
            )
        (network if inside else training)[name] = value
    if "n" not in told and "n" not in find_association(network["association"]).options:
        network["n"] = known["n"]  # what such an association has none of
    return replace(of_run, network=network, start=weights, **training)


@torch.no_grad()
def carry_over(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Put the weights of a run into a network whose attention may differ.

    Args:
        weights: of the run, by name.
        network: untrained. Of its own weights those of gates and learned numbers stay that the run lacks; the
            gates' are drawn anew from the current state.

    Raises:
        OptionError: where weights have no place, or another shape, as those of a gate that is taken away.
    """
    own = network.state_dict()
    for name, value in weights.items():
        if name not in own:
            last = name.rpartition(".")[2]
            what = OPTION_OF.get("gate" if ".gate." in name else last, "the options of its network")
            raise OptionError(
                f"{name} of the run that the training starts from has no place in this network; say {what}."
            )
        if own[name].shape != value.shape:
            raise OptionError(
                f"{name} is {tuple(value.shape)} in the run that the training starts from, and would be "
                f"{tuple(own[name].shape)}; bring data with as many tokens or classes, and leave out options "
                "that differ."
            )
    new, opened = set(own) - set(weights), []
    for path, layer in network.named_modules():
        if not isinstance(layer, Hopfield):
            continue
        gate = {f"{path}.{n}" for n, _ in layer.named_parameters() if n.startswith("gate.")}
        if gate and gate <= new:
            opened.append(layer)
            new -= gate
        new -= {f"{path}.{name}" for name in LEARNED}
    if new:
        raise OptionError(
            f"the run that the training starts from has no {min(new)}; leave out the options that differ."
        )
    network.load_state_dict(dict(weights), strict=False)
    for layer in opened:
        _open(layer)


def _open(layer: Hopfield) -> None:
    """Let a new gate through as much as was retrieved without one (the module's first lines)."""
    gate, out = layer.gate, layer.out
    if gate is None or not isinstance(out, nn.Linear):
        raise OptionError(
            "a gate can be added to dense projections only: memory layers have no output map to scale."
        )
    last, bias = (
        (gate.gate.weight, gate.gate.bias) if gate.kind == "all_heads" else (gate.weight, gate.bias)
    )
    nn.init.normal_(last, std=GATE_DEVIATION)
    out.weight /= torch.sigmoid(bias).mean()
