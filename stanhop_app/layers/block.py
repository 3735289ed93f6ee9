"""Residual blocks that the models share: pre-norm retrieval and feed-forward steps.

Shape letters: B batch, C variates, P patches, L queries, S stored patterns, D width.
"""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.feedforward import make_feed_forward
from stanhop_app.layers.hopfield import Hopfield, HopfieldPooling


class FeatureDropout(nn.Module):
    """Drop whole features of a sample: one draw per (sample, feature), shared by all positions.

    A draw per element costs as much as the matrix products at small widths on CPU; this one costs
    next to nothing.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise OptionError(f"dropout must be in [0, 1), got {p}.")
        self.p = p

    def forward(self, x: Float[Tensor, "B *positions D"]) -> Float[Tensor, "B *positions D"]:
        """(B, ..., D) -> the same shape."""
        if not self.training or self.p == 0:
            return x
        shape = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
        keep = (torch.rand(shape, device=x.device) >= self.p).to(x.dtype)
        return x * (keep / (1 - self.p))


class Residual(nn.Module):
    """``x + d(update)`` with d a `FeatureDropout`: the sums of a residual stream, as a module to observe."""

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = FeatureDropout(dropout)

    def forward(
        self, x: Float[Tensor, "B *positions D"], update: Float[Tensor, "B *positions D"]
    ) -> Float[Tensor, "B *positions D"]:
        """(B, ..., D), twice -> the same shape."""
        total: Tensor = x + self.dropout(update)
        return total


class STanHopBlock(nn.Module):
    """TimeGSH then SeriesGSH: retrieval over the patches of a variate, then over the variates.

    With norms N and dropout d, for each variate (time) and each patch position (series)::

        x = x + d(Hopfield(N x))                      over patches
        x = x + d(FeedForward(N x))
        x = x + d(Hopfield(N x, HopfieldPooling(N x)))   over variates
        x = x + d(FeedForward(N x))

    The variates meet in ``num_prototypes`` learned queries, from which each retrieves, so that cost
    grows linearly in their number. The released code attends over all pairs of variates instead,
    and drops the residual; the paper describes what is here.

    Args:
        dim: width D.
        num_heads: heads of every Hopfield layer.
        hidden_dim: width inside dense feed-forward networks.
        num_prototypes: learned queries.
        dropout: probability d with which a feature of a sample is dropped.
        feed_forward: "dense" or "memory", see `make_feed_forward`.
        bits: of memory layers, in feed-forward networks and projections.
        expand_bits: further bits of a memory block's second layer.
        **hopfield: further options of `Hopfield`, such as ``projection``. With memory layers the values are
            looked up from the stored patterns, as in MemoryFormer, not from the keys, and the
            prototypes are normalised before they are hashed.

    References:
        Wu et al., STanHop-Net, arXiv 2312.17346, section 4.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        num_prototypes: int,
        dropout: float = 0.0,
        *,
        feed_forward: str = "dense",
        bits: int = 4,
        expand_bits: int = 2,
        **hopfield: Any,
    ):
        super().__init__()
        options = _hopfield_options(bits, hopfield)

        def feed() -> nn.Module:
            return make_feed_forward(
                feed_forward, dim, hidden_dim, bits=bits, expand_bits=expand_bits
            )

        self.time_norm = nn.LayerNorm(dim)
        self.time = Hopfield(dim, num_heads, **options)
        self.time_feed_norm = nn.LayerNorm(dim)
        self.time_feed = feed()
        self.series_norm = nn.LayerNorm(dim)
        self.pooling = HopfieldPooling(dim, num_heads, num_prototypes, **options)
        hashed = options.get("projection") == "memory"
        self.pooling_norm = nn.LayerNorm(dim) if hashed else nn.Identity()
        self.series = Hopfield(dim, num_heads, **options)
        self.series_feed_norm = nn.LayerNorm(dim)
        self.series_feed = feed()
        self.time_sum, self.time_feed_sum, self.series_sum, self.series_feed_sum = (
            Residual(dropout) for _ in range(4)
        )

    def forward(self, x: Float[Tensor, "B C P D"]) -> Float[Tensor, "B C P D"]:
        """(B, C, P, D) -> (B, C, P, D)."""
        variates, patches = x.shape[1], x.shape[2]
        h = rearrange(self.time_norm(x), "b c p d -> (b c) p d")
        x = self.time_sum(x, rearrange(self.time(h), "(b c) p d -> b c p d", c=variates))
        x = self.time_feed_sum(x, self.time_feed(self.time_feed_norm(x)))
        h = rearrange(self.series_norm(x), "b c p d -> (b p) c d")
        h = self.series(h, self.pooling_norm(self.pooling(h)))
        x = self.series_sum(x, rearrange(h, "(b p) c d -> b c p d", p=patches))
        x = self.series_feed_sum(x, self.series_feed(self.series_feed_norm(x)))
        return x


class CrossBlock(nn.Module):
    """``x = x + d(Hopfield(N x, N memory)); x = x + d(FeedForward(N x))``: read a memory.

    The arguments are those of `STanHopBlock`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        dropout: float = 0.0,
        *,
        feed_forward: str = "dense",
        bits: int = 4,
        expand_bits: int = 2,
        **hopfield: Any,
    ):
        super().__init__()
        options = _hopfield_options(bits, hopfield)
        self.query_norm = nn.LayerNorm(dim)
        self.stored_norm = nn.LayerNorm(dim)
        self.retrieve = Hopfield(dim, num_heads, **options)
        self.feed_norm = nn.LayerNorm(dim)
        self.feed = make_feed_forward(
            feed_forward, dim, hidden_dim, bits=bits, expand_bits=expand_bits
        )
        self.retrieve_sum, self.feed_sum = Residual(dropout), Residual(dropout)

    def forward(
        self, x: Float[Tensor, "B L D"], stored: Float[Tensor, "B S D"]
    ) -> Float[Tensor, "B L D"]:
        """(B, L, D), (B, S, D) -> (B, L, D)."""
        x = self.retrieve_sum(x, self.retrieve(self.query_norm(x), self.stored_norm(stored)))
        out: Tensor = self.feed_sum(x, self.feed(self.feed_norm(x)))
        return out


class TransformerBlock(nn.Module):
    """Self-retrieval and a feed-forward network, as in BERT (post-norm), OPT and ViT (pre-norm).

    With norms N and dropout d::

        pre-norm    x = x + d(Hopfield(N x));     x = x + d(FeedForward(N x))
        post-norm   x = N(x + d(Hopfield(x)));    x = N(x + d(FeedForward(x)))

    Values are maps of the stored patterns, not of the keys, as in all three.

    Args:
        dim: width D.
        num_heads: heads.
        hidden_dim: width inside the dense feed-forward network.
        dropout: probability d with which a feature of a sample is dropped.
        norm_first: pre-norm, or post-norm.
        norm_eps: what the norms add to the variance.
        norm: class of the norms, `torch.nn.LayerNorm` or `torch.nn.RMSNorm`.
        activation: of the dense feed-forward network, "gelu", "relu" or "swiglu".
        feed_forward: "dense" or "memory", see `make_feed_forward`.
        bits: of memory layers.
        expand_bits: further bits of a memory block's second layer.
        **hopfield: further options of `Hopfield`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        dropout: float = 0.0,
        *,
        norm_first: bool = True,
        norm_eps: float = 1e-5,
        norm: type[nn.LayerNorm] | type[nn.RMSNorm] = nn.LayerNorm,
        activation: str = "gelu",
        feed_forward: str = "dense",
        bits: int = 4,
        expand_bits: int = 2,
        **hopfield: Any,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.retrieve = Hopfield(dim, num_heads, bits=bits, value_from_key=False, **hopfield)
        self.retrieve_norm = norm(dim, eps=norm_eps)
        self.feed = make_feed_forward(
            feed_forward,
            dim,
            hidden_dim,
            activation=activation,
            bits=bits,
            expand_bits=expand_bits,
        )
        self.feed_norm = norm(dim, eps=norm_eps)
        self.retrieve_sum, self.feed_sum = Residual(dropout), Residual(dropout)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        is_causal: bool = False,
    ) -> Float[Tensor, "B L D"]:
        """(B, L, D) -> (B, L, D); ``mask`` and ``is_causal`` as of `Hopfield`."""
        options: dict[str, Any] = {"mask": mask, "is_causal": is_causal}
        if self.norm_first:
            x = self.retrieve_sum(x, self.retrieve(self.retrieve_norm(x), **options))
            before: Tensor = self.feed_sum(x, self.feed(self.feed_norm(x)))
            return before
        x = self.retrieve_norm(self.retrieve_sum(x, self.retrieve(x, **options)))
        after: Tensor = self.feed_norm(self.feed_sum(x, self.feed(x)))
        return after


def _hopfield_options(bits: int, hopfield: dict[str, Any]) -> dict[str, Any]:
    """Options of every Hopfield layer; a hash of a hash says little of the pattern."""
    value_from_key = hopfield.get("projection", "dense") == "dense"
    return {"bits": bits, "value_from_key": value_from_key, **hopfield}
