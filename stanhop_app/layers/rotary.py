"""Rotary positions: queries and keys are turned by their place, so that scores depend on distances.

References:
    Su et al., arXiv 2104.09864, equation 34; pairs are (i, i + E / 2), as in LLaMA.
"""

import torch
from jaxtyping import Float
from torch import Tensor

BASE = 10_000.0
"""Wavelengths are 2 pi to 2 pi times this many places."""


def rotate(x: Float[Tensor, "B H L E"]) -> Float[Tensor, "B H L E"]:
    """Turn the pair (i, i + E / 2) of the vector at place l by ``l BASE^(-2 i / E)``; E is even.

    A score of two vectors so turned depends on the distance of their places alone.
    """
    half = x.shape[-1] // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32) / half
    places = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
    angles = places[:, None] * BASE**-steps
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.split(half, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
