"""OPT, a causal language model, on Hopfield layers.

Shape letters: B batch, L tokens, D width, V vocabulary.

References:
    Zhang et al., arXiv 2205.01068; with "softmax" the numbers are those of Hugging Face's OPTForCausalLM with
    ``do_layer_norm_before`` (all sizes but 350m, whose post-norm is not offered).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from stanhop_app.layers.feedforward import dense
from stanhop_app.models.bert import check_length
from stanhop_app.models.config import OPTConfig as OPTConfig
from stanhop_app.models.transformer import make_blocks, modern_blocks, start_weights

NORM_EPS = 1e-5
OFFSET = 2
"""Rows before the first position in the table of positions, kept so that checkpoints fit."""


class OPT(nn.Module):
    """Pre-norm decoder; the head shares the weights of the embedding, and has no bias.

    OPT was trained with weight decay on the gains of its norms, which keeps its outliers small
    (arXiv 2306.12929, table 6): `stanhop_app.training.config.TrainingConfig.decay_gains`.

    ``modern`` is LLaMA's decoder (Touvron et al., arXiv 2302.13971) instead: RMSNorm, SwiGLU, rotary
    positions, no biases, and a head of its own; with "softmax" the numbers are those of Hugging Face's
    LlamaForCausalLM.
    """

    def __init__(self, config: OPTConfig):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.dim)
        if config.modern:
            self.blocks = modern_blocks(config, norm_eps=NORM_EPS, rotary=True)
            self.norm: nn.Module = nn.RMSNorm(config.dim, eps=NORM_EPS)
            self.head = dense(config.dim, config.vocab_size, bias=False)
        else:
            self.positions = nn.Embedding(config.max_length + OFFSET, config.dim)
            self.blocks = make_blocks(config, norm_first=True, norm_eps=NORM_EPS, activation="relu")
            self.norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        start_weights(self)

    def forward(
        self, tokens: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L V"]:
        """Logits of the token after every token.

        Args:
            tokens: numbers below V.
            mask: True where there is a token, False where there is padding, which takes no position; None:
                no padding.
        """
        check_length(tokens, self.config.max_length)
        if self.config.modern:
            return self._modern(tokens, mask)
        if mask is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)[None] + OFFSET
            stored = None
        else:  # as in the original, positions count tokens; padding has the row before the first
            positions = (mask.cumsum(1) * mask - 1) + OFFSET
            stored = mask[:, None, None]
        x = self.tokens(tokens) + self.positions(positions)
        for block in self.blocks:
            x = block(x, mask=stored, is_causal=True)
        return F.linear(self.norm(x), self.tokens.weight)

    def _modern(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """The same with rotary positions, which padding on either side leaves as far apart as they are."""
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x, mask=None if mask is None else mask[:, None, None], is_causal=True)
        logits: Tensor = self.head(self.norm(x))
        return logits
