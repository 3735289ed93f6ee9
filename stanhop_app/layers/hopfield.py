"""Hopfield layers: learned projections around `associate`.

Shape letters: B batch, L queries, S stored patterns, H heads, D width, E = D / H width of a head.
"""

import math
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError
from stanhop_app.layers.association import SMALLEST_ALPHA, check_clip, find_association, having
from stanhop_app.layers.feedforward import dense, find_kind, normal
from stanhop_app.layers.memory import RESIDUAL_START, MemoryLayer
from stanhop_app.layers.names import GATES
from stanhop_app.layers.retrieval import Retrieval, check_steps, iterate
from stanhop_app.layers.rotary import rotate


class Gate(nn.Module):
    """Sigmoid gate per head and query: a learned way to retrieve nothing.

    ``sigmoid(G(x))`` with x the layer's query input. "linear": per head a map E -> 1 of its slice of
    x; "mlp": per head E -> hidden -> ReLU -> 1 with hidden = max(E // 4, 1); "all_heads": one map
    D -> H of the whole x. The last bias starts at ``logit(gate_init)`` for every kind; the
    reference code does so for "linear" only.

    References:
        Bondarenko, Nagel and Blankevoort, arXiv 2306.12929, section 4.2 and table 4.
    """

    def __init__(self, dim: int, num_heads: int, kind: str, gate_init: float = 0.5):
        super().__init__()
        if kind not in GATES:
            raise OptionError(f"gate must be None or one of {', '.join(GATES)}, got {kind!r}.")
        if not 0 < gate_init < 1:
            raise OptionError(f"gate_init is a probability in (0, 1), got {gate_init}.")
        self.kind, self.num_heads = kind, num_heads
        bias = math.log(gate_init / (1 - gate_init))
        head_dim = dim // num_heads
        if kind == "all_heads":
            self.gate = nn.Linear(dim, num_heads)
            nn.init.constant_(self.gate.bias, bias)
            return
        width = head_dim
        if kind == "mlp":
            width = max(head_dim // 4, 1)
            self.hidden = nn.Parameter(normal(num_heads, head_dim, width, std=head_dim**-0.5))
            self.hidden_bias = nn.Parameter(torch.zeros(num_heads, width))
        self.weight = nn.Parameter(normal(num_heads, width, std=width**-0.5))
        self.bias = nn.Parameter(torch.full((num_heads,), bias))

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L 1"]:
        """(B, L, D) -> gate values (B, H, L, 1) in (0, 1)."""
        if self.kind == "all_heads":
            return rearrange(torch.sigmoid(self.gate(x)), "b l h -> b h l 1")
        x = rearrange(x, "b l (h e) -> b l h e", h=self.num_heads)
        if self.kind == "mlp":
            x = torch.relu(torch.einsum("blhe,hef->blhf", x, self.hidden) + self.hidden_bias)
        logits = torch.einsum("blhe,he->blh", x, self.weight) + self.bias
        return rearrange(torch.sigmoid(logits), "b l h -> b h l 1")


class Hopfield(nn.Module):
    """Retrieve from stored patterns with learned projections; a drop-in for attention.

    ``Z = A(beta R W_Q (Y W_K)^T) V`` per head, then an output projection, with R the query input, Y
    the stored patterns and A the association. ``V = Y W_K W_V``: the value is a map of the
    *key*, as in the paper; ``value_from_key=False`` gives ``V = Y W_V``, as in BERT, OPT and ViT.

    Args:
        dim: width D of queries, patterns and output.
        num_heads: heads H; must divide ``dim``.
        num_key_heads: heads G of keys and values, each shared by H / G heads of queries; must divide
            ``num_heads``. Default: H.
        association: name in `ASSOCIATIONS`. "entmax" adds one learned alpha per head, in (1.01,
            1.99), starting at 1.5.
        beta: inverse temperature; default ``1 / sqrt(dim / num_heads)``.
        learn_beta: whether beta is learned per head, from that start, positive.
        n: no-op classes of "softmax1".
        learn_n: whether n is learned per head, from that start, positive.
        clip: (gamma, zeta) of clipped retrieval, or None.
        gate: None, "linear", "mlp" or "all_heads" (see `Gate`).
        gate_init: share that the gate lets through at the start.
        steps: retrieval steps at most; each but the last replaces the query by what it retrieved.
        tolerance: a query that moves by no more than this takes its last step at once; None: all
            steps are taken.
        value_from_key: see above.
        projection: "dense", or "memory" for `MemoryLayer`: then there is no output projection, as in
            MemoryFormer, and what a layer hashes should be normalised; a key is, before the value is
            mapped from it.
        bits: of memory layers.
        dropout: probability with which single weights are dropped in training.
        bias: whether dense projections have biases; memory layers have none.
        rotary: whether queries and keys are turned by their places (`stanhop_app.layers.rotary`); for one
            step, and heads of an even width.

    Raises:
        OptionError: heads that do not divide the width, unknown names, bounds that cross.

    References:
        Hu et al., arXiv 2404.03828, section 2.4 (OutEffHop); Ramsauer et al., arXiv 2008.02217.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        num_key_heads: int | None = None,
        association: str = "softmax1",
        beta: float | None = None,
        learn_beta: bool = False,
        n: float = 1.0,
        learn_n: bool = False,
        clip: tuple[float, float] | None = None,
        gate: str | None = None,
        gate_init: float = 0.5,
        steps: int = 1,
        tolerance: float | None = None,
        value_from_key: bool = True,
        projection: str = "dense",
        bits: int = 4,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: bool = False,
    ):
        super().__init__()
        num_key_heads = num_heads if num_key_heads is None else num_key_heads
        _check_heads(dim, num_heads, num_key_heads)
        if steps < 1:
            raise OptionError(f"steps must be at least 1, got {steps}.")
        check_steps(steps, tolerance)
        known = find_association(association)
        _check_numbers(association, beta, n, learn_n, dropout)
        if clip is not None:
            check_clip(*clip)
        self.num_heads, self.num_key_heads, self.association = num_heads, num_key_heads, association
        self.clip, self.dropout, self.value_from_key = clip, dropout, value_from_key
        self.steps, self.tolerance = steps, tolerance
        head_dim = dim // num_heads
        if rotary and (steps > 1 or head_dim % 2):
            raise OptionError(
                f"rotary needs one step and heads of an even width, got {steps} and {head_dim}."
            )
        self.rotary = rotary
        key_dim = head_dim * num_key_heads
        self.dim, self.projection = dim, find_kind("projection", projection)
        self._make_maps(key_dim, key_dim if value_from_key else dim, bits, bias)
        self.retrieval = Retrieval()
        self.gate = None if gate is None else Gate(dim, num_heads, gate, gate_init)
        self._beta = head_dim**-0.5 if beta is None else beta
        self.n = n
        if learn_beta:
            self.log_beta = nn.Parameter(torch.full((num_heads, 1, 1), math.log(self._beta)))
        self.log_n: nn.Parameter | None = None
        if learn_n:
            self.log_n = nn.Parameter(torch.full((num_heads, 1, 1), math.log(n)))
        if "alpha" in known.options:
            self.alpha_logit = nn.Parameter(torch.zeros(num_heads, 1, 1))

    def _make_maps(self, key_dim: int, value_input: int, bits: int, bias: bool) -> None:
        """Projections of queries, keys and values, and the one of the output."""
        dim = self.dim
        if self.projection == "dense":
            self.query: nn.Module = dense(dim, dim, bias=bias)
            self.key: nn.Module = dense(dim, key_dim, bias=bias)
            self.value: nn.Module = dense(value_input, key_dim, bias=bias)
            self.out: nn.Module = dense(dim, dim, bias=bias)
            return
        self.query = MemoryLayer(dim, dim, bits=bits)
        self.key = MemoryLayer(dim, key_dim, bits=bits)
        self.value = MemoryLayer(value_input, key_dim, bits=bits)
        self.key_norm = nn.LayerNorm(key_dim) if self.value_from_key else nn.Identity()
        with torch.no_grad():  # there is no output map that could keep the noise small
            self.value.table.mul_(RESIDUAL_START)
        self.out = nn.Identity()

    @property
    def alpha(self) -> Tensor | float:
        """Exponent of "entmax" per head (H, 1, 1); 1.5 for every other association."""
        if not hasattr(self, "alpha_logit"):
            return 1.5
        spread = 2 * (1.5 - SMALLEST_ALPHA)
        return SMALLEST_ALPHA + spread * torch.sigmoid(self.alpha_logit.float())

    @property
    def beta(self) -> Tensor | float:
        """Inverse temperature: a number, or per head (H, 1, 1) if it is learned."""
        return self.log_beta.exp() if hasattr(self, "log_beta") else self._beta

    def forward(
        self,
        query: Float[Tensor, "#B L D"],
        stored: Float[Tensor, "#B S D"] | None = None,
        *,
        mask: Bool[Tensor, "..."] | None = None,
        is_causal: bool = False,
    ) -> Float[Tensor, "B L D"]:
        """Retrieve for every query.

        Args:
            query: (B, L, D), or (1, L, D) for queries that all samples share.
            stored: (B, S, D), or (1, S, D) if shared; default the queries themselves (self-attention).
            mask: bool, broadcasts to (B, H, L, S), True = may be retrieved; of a padding mask (B, S) give
                ``mask[:, None, None]``.
            is_causal: query i sees patterns 0..i only.

        Returns:
            (B, L, D).
        """
        stored = query if stored is None else stored
        self._check_inputs(query, stored)
        queries, keys, values = self._project(query, stored)
        batch = stored.shape[0] if query.shape[0] == 1 else query.shape[0]
        q = self._split(queries, self.num_heads, batch)
        k, v = (self._split(x, self.num_key_heads, batch) for x in (keys, values))
        if self.rotary:
            q, k = rotate(q), rotate(k)
        retrieve = partial(
            self.retrieval,
            association=self.association,
            beta=self.beta,
            alpha=self.alpha,
            n=self.n,
            log_n=self.log_n,
            clip=self.clip,
            mask=mask,
            is_causal=is_causal,
        )
        q = iterate(lambda state: retrieve(state, k, k), q, self.steps - 1, self.tolerance)
        out = retrieve(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        if self.gate is not None:
            out = out * self.gate(query)
        merged: Tensor = self.out(rearrange(out, "b h l e -> b l (h e)"))
        return merged

    def _project(self, query: Tensor, stored: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values; memory layers of one input share its hash."""
        if self.projection == "dense":
            keys = self.key(stored)
            return self.query(query), keys, self.value(keys if self.value_from_key else stored)
        # The compiled loop hashes faster than a hash could be shared.
        alone = self.key.uses_loop(stored)  # type: ignore[operator]
        hashed = stored if alone else self.key.hash(stored)  # type: ignore[operator]
        keys = self.key(hashed)
        content = self.key_norm(keys) if self.value_from_key else hashed
        return self.query(hashed if stored is query else query), keys, self.value(content)

    def _check_inputs(self, query: Tensor, stored: Tensor) -> None:
        dim = self.dim
        # No set of sizes: under torch.export they are symbols, which cannot be hashed.
        if not query.ndim == stored.ndim == 3 or not (
            query.shape[0] == 1 or stored.shape[0] == 1 or query.shape[0] == stored.shape[0]
        ):
            raise OptionError(
                "query and stored must be (batch, patterns, width) with one batch (or 1), got "
                f"{tuple(query.shape)} and {tuple(stored.shape)}."
            )
        if query.shape[-1] != dim or stored.shape[-1] != dim:
            raise OptionError(
                f"query and stored must have width {dim}, got {query.shape[-1]} and {stored.shape[-1]}."
            )

    def _split(self, x: Tensor, heads: int, batch: int) -> Tensor:
        """(B or 1, L, H E) -> (B, H, L, E); what samples share is projected once and not copied."""
        return rearrange(x, "b l (h e) -> b h l e", h=heads).expand(batch, -1, -1, -1)


def _check_heads(dim: int, num_heads: int, num_key_heads: int) -> None:
    """Raise OptionError unless heads divide the width, and key heads the heads."""
    if num_heads < 1 or dim < 1 or dim % num_heads:
        raise OptionError(f"num_heads must divide dim, got dim={dim}, num_heads={num_heads}.")
    if num_key_heads < 1 or num_heads % num_key_heads:
        raise OptionError(
            f"num_key_heads must divide num_heads, got num_heads={num_heads}, "
            f"num_key_heads={num_key_heads}."
        )


def _check_numbers(
    association: str, beta: float | None, n: float, learn_n: bool, dropout: float
) -> None:
    """Raise OptionError for numbers that cannot be, or that the association would not use."""
    if beta is not None and not 0 < beta < math.inf:
        raise OptionError(f"beta must be above 0, got {beta}.")
    if not 0 <= dropout < 1:
        raise OptionError(f"dropout must be in [0, 1), got {dropout}.")
    if not 0 <= n < math.inf or (learn_n and n == 0):
        raise OptionError(f"n must be at least 0, and above 0 to be learned, got {n}.")
    if (n != 1 or learn_n) and "n" not in find_association(association).options:
        raise OptionError(f"n and learn_n are options of {having('n')} only, got {association!r}.")


class HopfieldPooling(nn.Module):
    """Gather a set of patterns into a fixed number of learned queries: (B, S, D) -> (B, Q, D).

    The learned vectors are the *queries* and the input is stored. The released STanHop code has it
    the other way round and leaves the vectors uninitialised memory; here they start as N(0, 1).

    Args:
        dim: width D.
        num_heads: heads H.
        num_queries: number of learned queries Q.
        **hopfield: options of `Hopfield`.
    """

    def __init__(self, dim: int, num_heads: int, num_queries: int, **hopfield: object):
        super().__init__()
        if num_queries < 1:
            raise OptionError(f"num_queries must be at least 1, got {num_queries}.")
        self.queries = nn.Parameter(normal(num_queries, dim))
        self.hopfield = Hopfield(dim, num_heads, **hopfield)  # type: ignore[arg-type]

    def forward(
        self, stored: Float[Tensor, "B S D"], *, mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "B Q D"]:
        """(B, S, D) -> (B, Q, D); ``mask`` broadcasts to (B, H, Q, S)."""
        pooled: Tensor = self.hopfield(self.queries[None], stored, mask=mask)
        return pooled


class HopfieldLayer(nn.Module):
    """Retrieve from learned stored patterns: (B, L, D) -> (B, L, D), a learned look-up.

    The stored patterns are parameters and start as N(0, 1), so that keys and values do not depend on the
    input. The class of this name in the papers' code has no projections and no learned
    patterns: that is `stanhop_app.layers.retrieve`.

    Args:
        dim: width D.
        num_heads: heads H.
        num_patterns: number of learned patterns S.
        **hopfield: options of `Hopfield`.

    References:
        Hu et al., arXiv 2404.03828, section 2.4 (OutEffHopLayer).
    """

    def __init__(self, dim: int, num_heads: int, num_patterns: int, **hopfield: object):
        super().__init__()
        if num_patterns < 1:
            raise OptionError(f"num_patterns must be at least 1, got {num_patterns}.")
        self.patterns = nn.Parameter(normal(num_patterns, dim))
        self.hopfield = Hopfield(dim, num_heads, **hopfield)  # type: ignore[arg-type]

    def forward(
        self, query: Float[Tensor, "B L D"], *, mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "B L D"]:
        """(B, L, D) -> (B, L, D); ``mask`` broadcasts to (B, H, L, S)."""
        retrieved: Tensor = self.hopfield(query, self.patterns[None], mask=mask)
        return retrieved
