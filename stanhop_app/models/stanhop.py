"""STanHop-Net: a forecaster whose attention is a modern Hopfield memory.

Shape letters: B batch, T lookback, C variates, P patches, D width, L horizon.

References:
    Wu et al., "STanHop: Sparse Tandem Hopfield Model for Memory-Enhanced Time Series Prediction",
    arXiv 2312.17346; Hu et al., "Outlier-Efficient Hopfield Layers", arXiv 2404.03828.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.layers.block import CrossBlock, STanHopBlock
from stanhop_app.layers.feedforward import dense, normal
from stanhop_app.models.anchor import Anchor
from stanhop_app.models.beside import Beside
from stanhop_app.models.config import STanHopConfig as STanHopConfig
from stanhop_app.models.holes import between

Added = tuple[Tensor | float, Tensor | float]
"""What `Beside` adds to tokens and to queries."""


class CoarseGrain(nn.Module):
    """Merge ``window`` neighbouring patches into one: concatenate, normalise, map to width D.

    A number of patches that ``window`` does not divide is padded at the start by repeating the first
    patch, so that the last patch stays next to the forecast.
    """

    def __init__(self, dim: int, window: int):
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(window * dim)
        self.merge = dense(window * dim, dim)

    def forward(self, x: Float[Tensor, "B C P D"]) -> Float[Tensor, "B C Q D"]:
        """(B, C, P, D) -> (B, C, ceil(P / window), D)."""
        missing = -x.shape[2] % self.window
        if missing:
            x = torch.cat([x[:, :, :1].expand(-1, -1, missing, -1), x], dim=2)
        x = rearrange(x, "b c (p w) d -> b c p (w d)", w=self.window)
        out: Tensor = self.merge(self.norm(x))
        return out


class DeepPart(nn.Module):
    """The Hopfield network: patches -> encoder of STanHop blocks -> decoder over every level.

    The decoder has one learned query per forecast patch. Its first layer reads the embedding, each
    further one the next coarser encoder level; the forecast is the sum of all layers' predictions.
    """

    def __init__(self, config: STanHopConfig):
        super().__init__()
        self.config = config
        dim, patch = config.dim, config.patch_length
        patches = math.ceil(config.deep_steps / patch)
        options = config.block()
        self.embedding = dense(patch, dim)
        if config.holes:
            self.missing = nn.Linear(patch, dim, bias=False)
        self.patch_position = nn.Parameter(normal(patches, dim, std=0.02))
        self.variate_position = nn.Parameter(normal(config.num_variates, 1, dim, std=0.02))
        self.blocks = nn.ModuleList(
            STanHopBlock(
                dim,
                config.num_heads,
                config.hidden_dim,
                config.num_prototypes,
                config.dropout,
                **options,
            )
            for _ in range(config.num_layers)
        )
        self.coarse = nn.ModuleList(
            CoarseGrain(dim, config.coarse_graining)
            if config.coarse_graining > 1
            else nn.Identity()
            for _ in range(config.num_layers - 1)
        )
        self.anchor = Anchor(config) if config.fits_anchor else None
        if config.reads_covariates:
            self.beside = Beside(config)
        self.forecast_patches = math.ceil(config.horizon / patch)
        self.forecast_position = nn.Parameter(normal(self.forecast_patches, dim))
        self.readers = nn.ModuleList(
            CrossBlock(dim, config.num_heads, config.hidden_dim, config.dropout, **options)
            for _ in range(config.num_layers + 1)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), dense(dim, patch))
            for _ in range(config.num_layers + 1)
        )

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        covariates: Float[Tensor, "B S K"] | None = None,
        static: Float[Tensor, "B k"] | None = None,
    ) -> Float[Tensor, "B L C"]:
        """(B, T, C) -> (B, L, C), both in the same units; what is beside them as of `Beside`."""
        x = rearrange(x[:, -self.config.deep_steps :], "b t c -> b c t")
        added = self.beside(covariates, static) if self.config.reads_covariates else (0.0, 0.0)
        if self.config.holes:
            return rearrange(self._with_holes(x, added), "b c l -> b l c")
        if not self.config.instance_norm:
            return rearrange(self._network(x, added), "b c l -> b l c")
        if self.anchor is None:
            level, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
        else:
            level = self.anchor(x)
            variance = (x - level).square().mean(-1, keepdim=True)
        deviation = (variance + 1e-5).sqrt()
        out = self._network((x - level) / deviation, added) * deviation + level
        return rearrange(out, "b c l -> b l c")

    def _with_holes(self, x: Float[Tensor, "B C T"], added: Added) -> Float[Tensor, "B C L"]:
        """(B, C, T) -> (B, C, L), where values that are not known are NaN.

        Level and deviation are those of the known values. A hole holds what lies on the line between its
        neighbours, and an embedding of its own says that it is one.
        """
        known = ~x.isnan()
        x = rearrange(between(rearrange(x, "b c t -> b t c")), "b t c -> b c t")
        if not self.config.instance_norm:
            return self._network(x, added, known)
        count = known.sum(-1, keepdim=True).clamp_min(1)
        mean = (x * known).sum(-1, keepdim=True) / count
        level = mean if self.anchor is None else self.anchor(x, known)
        variance = ((x - level).square() * known).sum(-1, keepdim=True) / count
        deviation = (variance + 1e-5).sqrt()
        return self._network((x - level) / deviation, added, known) * deviation + level

    def _network(
        self, x: Float[Tensor, "B C T"], added: Added, known: Tensor | None = None
    ) -> Float[Tensor, "B C L"]:
        """(B, C, T) -> (B, C, L), with what covariates add; of windows with holes also what is known."""
        batch, _, length = x.shape
        patch = self.config.patch_length
        missing = -length % patch
        if missing:
            x = torch.cat([x[..., :1].expand(-1, -1, missing), x], dim=-1)
        x = self.embedding(rearrange(x, "b c (p t) -> b c p t", t=patch))
        if known is not None:
            holes = nn.functional.pad((~known).to(x.dtype), (missing, 0))
            x = x + self.missing(rearrange(holes, "b c (p t) -> b c p t", t=patch))
        x = x + self.patch_position + self.variate_position
        if self.config.reads_covariates:
            x = x + added[0]
        levels = [x]
        for i, block in enumerate(self.blocks):
            x = block(self.coarse[i - 1](x) if i else x)
            levels.append(x)
        state = self.forecast_position + self.variate_position  # (C, P', D)
        state = state.repeat(batch, 1, 1)
        if self.config.reads_covariates:
            own = rearrange(state, "(b c) p d -> b c p d", b=batch) + added[1]
            state = rearrange(own, "b c p d -> (b c) p d")
        forecast = x.new_zeros(())
        for level, read, head in zip(levels, self.readers, self.heads, strict=True):
            state = read(state, rearrange(level, "b c p d -> (b c) p d"))
            forecast = forecast + head(state)
        forecast = rearrange(forecast, "(b c) p t -> b c (p t)", b=batch)
        return forecast[..., : self.config.horizon]


def from_last(x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
    """A window as differences from its last value and, in the last place, that value itself.

    An invertible change of coordinates in which the level of a series stands in one number.
    """
    last = x[:, -1:]
    return torch.cat([x[:, :-1] - last, last], dim=1)


class LinearPart(nn.Module):
    """A linear map per variate, fitted in closed form.

    ``y = last + W_c^T from_last(x)``; ``weight`` is (C, T, L), or (1, T, L) when all variates share it. Where
    the last row of W is 0, adding a constant to the window adds it to the forecast.
    `stanhop_app.forecasting.linear.fit_linear` fills it; it is never trained by gradient.
    """

    weight: Tensor

    def __init__(self, num_variates: int, lookback: int, horizon: int, *, holes: bool = False):
        super().__init__()
        self.holes = holes
        self.register_buffer("weight", torch.zeros(num_variates, lookback, horizon))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B L C"]:
        """(B, T, C) -> (B, L, C); of windows with holes, if there may be some, after `between`."""
        x = between(x) if self.holes else x
        windows = rearrange(from_last(x), "b t c -> c b t")
        change = torch.matmul(windows, self.weight)
        return rearrange(change, "c b l -> b l c") + x[:, -1:]


class STanHopNet(nn.Module):
    """Deep part and linear part, combined by one weight per forecast step and variate.

    ``forecast = w * deep + (1 - w) * linear`` with ``w`` in [0, 1], found on validation
    (`stanhop_app.forecasting.combination`); before that it is 1. The two parts are fitted apart: a
    deep part trained on what a fitted linear part leaves over was measured to learn nothing.
    Without ``linear_skip`` the network is its deep part.

    References:
        Wu et al., arXiv 2312.17346, for the deep part; the linear part and the combination are ours.
    """

    mixture: Tensor

    def __init__(self, config: STanHopConfig):
        super().__init__()
        self.config = config
        self.deep = DeepPart(config)
        if config.linear_skip:
            sizes = config.num_variates, config.lookback, config.horizon
            self.linear = LinearPart(*sizes, holes=config.holes)
            self.register_buffer("mixture", torch.ones(config.horizon, config.num_variates))

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        covariates: Float[Tensor, "B S K"] | None = None,
        static: Float[Tensor, "B k"] | None = None,
    ) -> Float[Tensor, "B L C"]:
        """(B, T, C) -> (B, L, C), in the units of the input.

        Args:
            x: windows.
            covariates: (B, T + L, K) of the steps read and forecast, those known ahead first, for a network
                that was made for some; the linear part does not read them.
            static: (B, k) of the series.
        """
        deep: Tensor = self.deep(x, covariates, static)
        if not self.config.linear_skip:
            return deep
        linear: Tensor = self.linear(x)
        return linear + self.mixture * (deep - linear)
