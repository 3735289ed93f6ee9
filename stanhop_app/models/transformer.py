"""What BERT, OPT and ViT share: their blocks, and how their weights start."""

from typing import Any

from torch import nn

from stanhop_app.layers.block import TransformerBlock
from stanhop_app.layers.hopfield import Gate, Hopfield
from stanhop_app.layers.memory import MemoryLayer
from stanhop_app.models.config import TransformerConfig

INITIAL_DEVIATION = 0.02
"""Standard deviation of initial weights, of projections, maps, heads and embeddings alike, as in
all papers."""


def make_blocks(
    config: TransformerConfig,
    *,
    norm_first: bool,
    norm_eps: float,
    activation: str,
    **others: Any,
) -> nn.ModuleList:
    """The blocks of a model, by its order of norms, its epsilon and its activation.

    Further options are those of `stanhop_app.layers.block.TransformerBlock`.
    """
    return nn.ModuleList(
        TransformerBlock(
            config.dim,
            config.num_heads,
            config.hidden_dim,
            config.dropout,
            norm_first=norm_first,
            norm_eps=norm_eps,
            activation=activation,
            **config.block(),
            **others,
        )
        for _ in range(config.num_layers)
    )


def modern_blocks(config: TransformerConfig, *, norm_eps: float, rotary: bool) -> nn.ModuleList:
    """LLaMA's blocks (Touvron et al., arXiv 2302.13971): RMSNorm first, SwiGLU, no biases.

    Args:
        config: of the model.
        norm_eps: epsilon of the norms.
        rotary: whether queries and keys are turned by their positions; else the model adds positions.
    """
    return make_blocks(
        config,
        norm_first=True,
        norm_eps=norm_eps,
        activation="swiglu",
        norm=nn.RMSNorm,
        bias=False,
        rotary=rotary,
    )


def start_weights(model: nn.Module) -> None:
    """Give maps and embeddings normal weights of deviation 0.02 and biases of 0, in place.

    Gates and memory layers keep the start of their own.
    """
    gates = {
        id(part) for gate in model.modules() if isinstance(gate, Gate) for part in gate.modules()
    }
    for part in model.modules():
        if id(part) in gates or isinstance(part, MemoryLayer | Hopfield):
            continue
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.normal_(part.weight, std=INITIAL_DEVIATION)
        if isinstance(part, nn.Linear | nn.Conv2d) and part.bias is not None:
            nn.init.zeros_(part.bias)
