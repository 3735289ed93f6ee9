"""Options of every model: what fixes an architecture. Nothing here needs torch."""

from dataclasses import MISSING, dataclass
from typing import Any

from stanhop_app.errors import OptionError
from stanhop_app.layers.names import GATES, KINDS, MOST_BITS, association_names
from stanhop_app.options import Shares, check, option

ANCHORS = ("mean", "fitted")
CLIPPED = 0.5
"""Share of a mean weight that clipping takes by default (`default_clip`)."""


LONGEST = 100_000
"""Steps at most, of horizon and lookback: a folder or a typing error must not ask for what never ends."""


def default_clip(patterns: int) -> tuple[float, float]:
    """(gamma, zeta) of clipped retrieval where nothing is said: ``-0.5 / patterns`` and 1.

    Clipping takes half a mean weight of this many stored patterns. The papers take more (3.2 for BERT, 12
    for OPT, of 128 and 512 tokens), which at small widths clips the nearly uniform weights of the start to
    nothing, and all gradients with them.

    Args:
        patterns: stored patterns that a query sees.
    """
    return -CLIPPED / patterns, 1.0


@dataclass(frozen=True, kw_only=True)
class HopfieldOptions:
    """What the blocks of all models have in common."""

    num_heads: int = option(4, "Heads of every Hopfield layer; must divide dim.", least=1)
    association: str = option(
        "softmax1",
        "What turns scores into weights of retrieval; softmax1 is outlier-efficient.",
        choices=association_names,
    )
    clip: tuple[float, float] | None = option(
        None, "Clipped retrieval, stretched to [GAMMA, ZETA]. Default: none.", metavar="GAMMA ZETA"
    )
    n: float = option(
        1.0, "No-op classes of softmax1, what a query may retrieve instead of patterns.", least=0.0
    )
    learn_n: bool = option(False, "Whether n is learned by every head, from that start.")
    learn_beta: bool = option(
        False,
        "Whether the inverse temperature is learned by every head, from 1 / sqrt(head width).",
    )
    gate: str | None = option(None, "Gate on what is retrieved. Default: none.", choices=GATES)
    gate_init: float = option(
        0.5, "Share that a gate lets through at the start.", above=0.0, below=1.0
    )
    feed_forward: str = option(
        "dense",
        "Feed-forward networks: dense, or memory layers (hashing, look-ups).",
        choices=KINDS,
    )
    projection: str = option(
        "dense", "Projections of Hopfield layers: dense, or memory layers.", choices=KINDS
    )
    bits: int = option(
        4, "Coordinates that one table of a memory layer hashes.", least=1, most=MOST_BITS
    )
    expand_bits: int = option(
        2, "Further bits of the second layer of a memory feed-forward network.", least=0
    )

    def __post_init__(self) -> None:
        check(self)
        if self.expand_bits > MOST_BITS - self.bits:
            raise OptionError(
                f"bits must be in 1..{MOST_BITS}, expand_bits at least 0 and both together at most "
                f"{MOST_BITS}, got bits={self.bits}, expand_bits={self.expand_bits}."
            )

    def block(self) -> dict[str, Any]:
        """Options that every block of a network shares."""
        return {
            "feed_forward": self.feed_forward,
            "projection": self.projection,
            "bits": self.bits,
            "expand_bits": self.expand_bits,
            "association": self.association,
            "clip": self.clip,
            "n": self.n,
            "learn_n": self.learn_n,
            "learn_beta": self.learn_beta,
            "gate": self.gate,
            "gate_init": self.gate_init,
        }


@dataclass(frozen=True, kw_only=True)
class STanHopConfig(HopfieldOptions):
    """Everything that fixes the architecture of `stanhop_app.models.stanhop.STanHopNet`."""

    num_variates: int = option(MISSING, "Variates C, the columns of the table.", least=1)
    horizon: int = option(24, "Time steps forecast.", least=1, most=LONGEST)
    lookback: int = option(
        512, "Time steps read.", least=1, most=LONGEST, search=Shares(0.25, 0.5, 1, 1.5)
    )
    deep_lookback: int = option(
        336,
        "Time steps that the deep part reads, the latest, at most; the linear part may read all.",
        least=1,
        search=Shares(0.25, 0.5, 1, 1.5),
    )
    patch_length: int = option(
        24,
        "Time steps in one patch; a lookback that it does not divide is padded.",
        least=1,
        search=Shares(0.25, 0.5, 1, 2),
    )
    dim: int = option(
        64, "Width of every token. The papers' network has 256.", least=1, search=(16, 32, 64, 128)
    )
    num_layers: int = option(
        2, "STanHop blocks in the encoder. The papers' network has 11.", least=1, search=(1, 3)
    )
    hidden_dim: int = option(128, "Width inside dense feed-forward networks.", least=1)
    num_prototypes: int = option(
        4, "Learned queries in which the variates of one patch meet.", least=1
    )
    coarse_graining: int = option(
        2, "Neighbouring patches merged between blocks; 1 keeps the resolution.", least=1
    )
    dropout: float = option(
        0.1,
        "Probability with which a feature of a sample is dropped.",
        least=0.0,
        below=1.0,
        search=(0.0, 0.4),
    )
    instance_norm: bool = option(
        True,
        "Whether every window is standardised by its own mean and deviation, and the forecast mapped back.",
    )
    # Fitted levels were better on most tables (tests/benchmarks/deep.md), but follow a level that shifts
    # after training in part only.
    anchor: str = option(
        "mean",
        "Level that instance_norm takes out: the window's mean, or one fitted to what follows.",
        choices=ANCHORS,
    )
    linear_skip: bool = option(
        True, "Whether a linear part, fitted in closed form, stands beside the deep part."
    )
    holes: bool = False
    """Whether windows may have holes, which are in no statistic and no loss; ``--missing mask`` says it."""
    future_features: int = 0
    """Features of covariates that are known ahead (`stanhop_app.data.encoder`)."""
    past_features: int = 0
    """Features of covariates that are known up to now only."""
    static_features: int = 0
    """Features of a series that do not change."""

    def __post_init__(self) -> None:
        super().__post_init__()
        features = (self.future_features, self.past_features, self.static_features)
        if not all(0 <= count <= LONGEST for count in features):
            raise OptionError(f"features of covariates must be in 0..{LONGEST:,}, got {features}.")
        if self.deep_steps < self.patch_length:
            raise OptionError(
                f"lookback must hold at least one patch, got lookback={self.lookback}, "
                f"deep_lookback={self.deep_lookback}, patch_length={self.patch_length}; "
                "choose a smaller patch_length or a larger lookback."
            )

    @property
    def reads_covariates(self) -> bool:
        """Whether it reads anything beside the values."""
        return self.future_features + self.past_features + self.static_features > 0

    @property
    def fits_anchor(self) -> bool:
        """Whether the level of a window is fitted (`stanhop_app.models.anchor`)."""
        return self.instance_norm and self.anchor == "fitted"

    @property
    def deep_steps(self) -> int:
        """Time steps that the deep part reads."""
        return min(self.lookback, self.deep_lookback)

    @property
    def num_patches(self) -> int:
        """Patches that the deep part reads."""
        return -(-self.deep_steps // self.patch_length)


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(HopfieldOptions):
    """Options of every block of BERT, OPT and ViT; the models add what they read and put out."""

    dim: int = option(128, "Width of every token.", least=1)
    num_layers: int = option(4, "Number of transformer blocks.", least=1)
    hidden_dim: int = option(512, "Width inside dense feed-forward networks.", least=1)
    # The originals drop single numbers, which costs as much as the products at small widths on a CPU.
    dropout: float = option(
        0.1, "Probability with which a feature of a sample is dropped.", least=0.0, below=1.0
    )
    # Biases in norms and projections make a sink free, which hides outliers.
    modern: bool = option(
        False,
        "Blocks as LLaMA has them: RMSNorm first, SwiGLU, no biases, rotary positions (texts), own head.",
    )


@dataclass(frozen=True, kw_only=True)
class BERTConfig(TransformerConfig):
    """Everything that fixes the architecture of `stanhop_app.models.bert.BERT`."""

    vocab_size: int = option(4096, "Tokens of the vocabulary.", least=1)
    max_length: int = option(128, "Longest sequence, in tokens.", least=1)
    segments: int = option(
        2, "Kinds of segments with an embedding; a text of one kind uses the first.", least=1
    )


@dataclass(frozen=True, kw_only=True)
class OPTConfig(TransformerConfig):
    """Everything that fixes the architecture of `stanhop_app.models.opt.OPT`."""

    vocab_size: int = option(4096, "Tokens of the vocabulary.", least=1)
    max_length: int = option(128, "Longest sequence, in tokens.", least=1)


@dataclass(frozen=True, kw_only=True)
class ViTConfig(TransformerConfig):
    """Everything that fixes the architecture of `stanhop_app.models.vit.ViT`."""

    image_size: int = option(8, "Height and width of an image, in pixels.", least=1)
    patch_size: int = option(
        2, "Height and width of a patch of ViT, in pixels; must divide those of the image.", least=1
    )
    channels: int = option(1, "1 for grey images, 3 for colour.", least=1)
    num_classes: int = option(10, "Classes.", least=1)
    # With it, vanilla ViT has few outliers (arXiv 2306.12929, table 7): comparisons must say which it was.
    patch_norm: bool = option(
        False,
        "Whether a LayerNorm follows the embedding of ViT's patches; it keeps outliers small.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % self.patch_size:
            raise OptionError(
                f"patch_size must divide image_size, got {self.patch_size} and {self.image_size}."
            )


WEIGHT_RANGES = ("minmax", "mse")
FLOAT_PARTS = ("gate", "head", "heads", "lm_head", "cls", "classifier")
"""Parts of the dotted names of modules that stay in float. The papers keep heads and gates."""


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """How a network is quantised (`stanhop_app.quantization.quantize`)."""

    weight_bits: int = option(8, "Bits of weights, embeddings and tables.", least=2, most=16)
    activation_bits: int = option(
        8, "Bits of everything that flows between layers.", least=2, most=16
    )
    # "mse" tries 100 ranges.
    weight_range: str = option(
        "minmax",
        "Range of weights: their extremes, or the one with the least squared error.",
        choices=WEIGHT_RANGES,
    )
    # The papers take 99.999 for OPT.
    percentile: float | None = option(
        None,
        "Percentile of a batch's activations at which their range ends; it begins at 100 less it. "
        "Default: the range is all of them.",
        above=50,
        most=100,
    )
    momentum: float = option(
        0.9,
        "Momentum of the running minimum and maximum of activations; the first batch sets them.",
        least=0.0,
        below=1.0,
    )
    keep: tuple[str, ...] = FLOAT_PARTS
    """What stays in float: modules with one of these as a part of their dotted name."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """As the papers write it: W8A8."""
        return f"W{self.weight_bits}A{self.activation_bits}"
