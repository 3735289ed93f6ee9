"""Covariates as tokens: what is known beside the values, where the network reads and where it forecasts.

Shape letters: B batch, T steps that the deep part reads, L horizon, P patches, P' of the horizon, D width,
K covariates, k of a series.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.models.config import STanHopConfig


class Beside(nn.Module):
    """Maps covariates of patches to what is added to the tokens of the encoder and the decoder's queries.

    All covariates of a patch that is read are mapped to width D, and so are those of a patch that is
    forecast, if they are known ahead, and those of the series. All maps begin at zero: the network
    starts as one that knows no covariates.
    """

    def __init__(self, config: STanHopConfig):
        super().__init__()
        self.config = config
        patch, dim = config.patch_length, config.dim
        sizes = {
            "read": patch * (config.future_features + config.past_features),
            "ahead": patch * config.future_features,
            "series": config.static_features,
        }
        self.maps = nn.ModuleDict(
            {name: nn.Linear(size, dim, bias=False) for name, size in sizes.items() if size}
        )
        for weight in self.maps.parameters():
            nn.init.zeros_(weight)

    def forward(
        self, covariates: Float[Tensor, "B S K"] | None, static: Float[Tensor, "B k"] | None
    ) -> tuple[Tensor | float, Tensor | float]:
        """(B, T + L, K) and (B, k) -> what is added to tokens (B, 1, P, D) and queries (B, 1, P', D).

        Raises:
            OptionError: if the network was made for covariates that are not there.
        """
        config, patch = self.config, self.config.patch_length
        read: Tensor | float = 0.0
        ahead: Tensor | float = 0.0
        if "read" in self.maps:
            if covariates is None:
                raise OptionError("the network was trained with covariates; give it covariates.")
            start, now = config.lookback - config.deep_steps, config.lookback
            rows = covariates[:, start:now]
            missing = -rows.shape[1] % patch
            rows = torch.cat([rows[:, :1].expand(-1, missing, -1), rows], dim=1)
            read = self.maps["read"](rearrange(rows, "b (p t) k -> b 1 p (t k)", t=patch))
        if "ahead" in self.maps and covariates is not None:
            rows = covariates[:, config.lookback :, : config.future_features]
            missing = math.ceil(config.horizon / patch) * patch - rows.shape[1]
            rows = nn.functional.pad(rows, (0, 0, 0, missing))
            ahead = self.maps["ahead"](rearrange(rows, "b (p t) k -> b 1 p (t k)", t=patch))
        if "series" in self.maps:
            if static is None:
                raise OptionError("the network was trained with static covariates; give it static.")
            of_series = self.maps["series"](static)[:, None, None]
            read, ahead = read + of_series, ahead + of_series
        return read, ahead
