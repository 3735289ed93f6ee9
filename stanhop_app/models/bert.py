"""BERT for masked language modelling, on Hopfield layers.

Shape letters: B batch, L tokens, D width, V vocabulary.

References:
    Devlin et al., arXiv 1810.04805; with "softmax" the numbers are those of Hugging Face's BertForMaskedLM.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.feedforward import dense
from stanhop_app.models.config import BERTConfig as BERTConfig
from stanhop_app.models.transformer import make_blocks, modern_blocks, start_weights

NORM_EPS = 1e-12
MODERN_EPS = 1e-5


class BERT(nn.Module):
    """Post-norm encoder with a head that says, for every token, which it was.

    ``logits = E N(gelu(W h + b)) + c``, E the embedding of the tokens, whose weights the head shares.

    ``modern`` is an encoder of LLaMA's blocks instead (`stanhop_app.models.transformer.modern_blocks`), the
    body of ModernBERT (Warner et al., arXiv 2412.13663) but for its local layers and its GeGLU: no table of
    positions, no biases, a norm behind the last block, and ``logits = W N(h)``, W the head's own.
    """

    def __init__(self, config: BERTConfig):
        super().__init__()
        self.config = config
        dim = config.dim
        self.tokens = nn.Embedding(config.vocab_size, dim)
        self.segments = nn.Embedding(config.segments, dim)
        if config.modern:
            self.blocks = modern_blocks(config, norm_eps=MODERN_EPS, rotary=True)
            self.norm = nn.RMSNorm(dim, eps=MODERN_EPS)
            self.head: nn.Module = dense(dim, config.vocab_size, bias=False)
        else:
            self.positions = nn.Embedding(config.max_length, dim)
            self.embedding_norm = nn.LayerNorm(dim, eps=NORM_EPS)
            self.blocks = make_blocks(
                config, norm_first=False, norm_eps=NORM_EPS, activation="gelu"
            )
            self.head = MaskedHead(dim, config.vocab_size)
        start_weights(self)

    def forward(
        self,
        tokens: Int[Tensor, "B L"],
        mask: Bool[Tensor, "B L"] | None = None,
        segments: Int[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"]:
        """Logits of every token.

        Args:
            tokens: numbers below V.
            mask: True where there is a token, False where there is padding; None: no padding.
            segments: numbers of segments; None: all 0.
        """
        hidden = self.encode(tokens, mask, segments)
        out: Tensor = (
            self.head(self.norm(hidden))
            if self.config.modern
            else self.head(hidden, self.tokens.weight)
        )
        return out

    def encode(
        self,
        tokens: Int[Tensor, "B L"],
        mask: Bool[Tensor, "B L"] | None = None,
        segments: Int[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """What the last block puts out."""
        check_length(tokens, self.config.max_length)
        kinds = torch.zeros_like(tokens) if segments is None else segments
        x = self.tokens(tokens) + self.segments(kinds)
        if not self.config.modern:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
            x = self.embedding_norm(x + self.positions(positions))
        stored = None if mask is None else mask[:, None, None]
        for block in self.blocks:
            x = block(x, mask=stored)
        return x


class MaskedHead(nn.Module):
    """``E N(gelu(W h + b)) + c``."""

    def __init__(self, dim: int, vocab_size: int):
        super().__init__()
        self.transform = dense(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(
        self, hidden: Float[Tensor, "B L D"], embedding: Float[Tensor, "V D"]
    ) -> Float[Tensor, "B L V"]:
        """(B, L, D), (V, D) -> (B, L, V)."""
        return F.linear(self.norm(F.gelu(self.transform(hidden))), embedding, self.bias)


def check_length(tokens: Tensor, longest: int) -> None:
    """Raise OptionError for sequences longer than there are positions."""
    if tokens.shape[1] > longest:
        raise OptionError(
            f"sequences have {tokens.shape[1]} tokens, max_length is {longest}; cut them, or train a "
            "model with a larger max_length."
        )
