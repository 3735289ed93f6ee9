"""What BERT, OPT and ViT share: the options of their blocks, and how their weights start."""

from dataclasses import dataclass

from torch import nn

from stanhop_app.layers.block import TransformerBlock
from stanhop_app.layers.feedforward import find_kind
from stanhop_app.layers.hopfield import Gate, Hopfield
from stanhop_app.layers.memory import MemoryLayer

INITIAL_DEVIATION = 0.02
"""Of weights and embeddings, as in all three papers; projections, maps and heads alike."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Options of every block; the models add what they read and put out."""

    dim: int = 128
    """Width D of every token."""
    num_heads: int = 4
    """Heads of every Hopfield layer; must divide ``dim``."""
    num_layers: int = 4
    """Blocks."""
    hidden_dim: int = 512
    """Width inside dense feed-forward networks."""
    dropout: float = 0.1
    """Probability with which a feature of a sample is dropped; the originals drop single numbers, which
    costs as much as the products at small widths on a CPU."""
    association: str = "softmax1"
    """Name in `stanhop_app.layers.ASSOCIATIONS`; "softmax" is the original."""
    clip: tuple[float, float] | None = None
    """(gamma, zeta) of clipped retrieval."""
    gate: str | None = None
    """None, "linear", "mlp" or "all_heads"."""
    gate_init: float = 0.5
    """Share that a gate lets through at the start."""
    feed_forward: str = "dense"
    """"dense" or "memory"."""
    projection: str = "dense"
    """"dense" or "memory", of every Hopfield layer."""
    bits: int = 4
    """Coordinates that one table of a memory layer hashes."""
    expand_bits: int = 2
    """Further bits of the second layer of a memory block."""

    def __post_init__(self) -> None:
        for name in ("dim", "num_heads", "num_layers", "hidden_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("feed_forward", "projection"):
            find_kind(name, getattr(self, name))

    def make_blocks(self, *, norm_first: bool, norm_eps: float, activation: str) -> nn.ModuleList:
        """The blocks of a model, by its order of norms, its epsilon and its activation."""
        return nn.ModuleList(
            TransformerBlock(
                self.dim,
                self.num_heads,
                self.hidden_dim,
                self.dropout,
                norm_first=norm_first,
                norm_eps=norm_eps,
                activation=activation,
                feed_forward=self.feed_forward,
                bits=self.bits,
                expand_bits=self.expand_bits,
                association=self.association,
                clip=self.clip,
                gate=self.gate,
                gate_init=self.gate_init,
                projection=self.projection,
            )
            for _ in range(self.num_layers)
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
