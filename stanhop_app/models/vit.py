"""ViT, a classifier of images, on Hopfield layers.

Shape letters: B batch, I channels, Y height, X width, P patches, D width of a token, K classes.

References:
    Dosovitskiy et al., arXiv 2010.11929; with "softmax" the numbers are those of Hugging Face's
    ViTForImageClassification.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.feedforward import dense, normal
from stanhop_app.models.config import ViTConfig as ViTConfig
from stanhop_app.models.transformer import (
    INITIAL_DEVIATION,
    make_blocks,
    modern_blocks,
    start_weights,
)

NORM_EPS = 1e-12
MODERN_EPS = 1e-5


class ViT(nn.Module):
    """Pre-norm encoder of patches; the class is read from a token of its own.

    With ``modern`` its blocks are LLaMA's (`stanhop_app.models.transformer.modern_blocks`); positions stay
    learned, since patches have two of them, and neither the patches nor the head have a bias.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        dim, patch = config.dim, config.patch_size
        patches = (config.image_size // patch) ** 2
        self.patches = nn.Conv2d(
            config.channels, dim, kernel_size=patch, stride=patch, bias=not config.modern
        )
        self.patch_norm = nn.LayerNorm(dim, eps=NORM_EPS) if config.patch_norm else nn.Identity()
        self.class_token = nn.Parameter(normal(1, 1, dim, std=INITIAL_DEVIATION))
        self.positions = nn.Parameter(normal(1, patches + 1, dim, std=INITIAL_DEVIATION))
        if config.modern:
            self.blocks = modern_blocks(config, norm_eps=MODERN_EPS, rotary=False)
            self.norm: nn.Module = nn.RMSNorm(dim, eps=MODERN_EPS)
        else:
            self.blocks = make_blocks(config, norm_first=True, norm_eps=NORM_EPS, activation="gelu")
            self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.head = dense(dim, config.num_classes, bias=not config.modern)
        start_weights(self)

    def forward(self, images: Float[Tensor, "B I Y X"]) -> Float[Tensor, "B K"]:
        """Logits of the classes.

        Args:
            images: standardised numbers, (B, channels, image_size, image_size).
        """
        config = self.config
        wanted = (config.channels, config.image_size, config.image_size)
        if tuple(images.shape[1:]) != wanted:
            raise OptionError(
                f"images must be (batch, {', '.join(map(str, wanted))}), got {tuple(images.shape)}."
            )
        x = self.patch_norm(self.patches(images).flatten(2).transpose(1, 2))
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x)[:, 0])
        return out
