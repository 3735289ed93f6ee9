"""Small models of transformers, built from their configs, beside the same with an independent softmax1.

The reference is the model's own eager attention, in which the call of softmax is replaced by softmax1 as its
paper writes it; nothing of `stanhop_app` is in it.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from stanhop_app import hf
from stanhop_app.errors import OptionError

NAMES = tuple(MODEL_MAPPING_NAMES)
"""Every kind of model that `AutoModel` knows."""
ATTENTION = "stanhop_softmax1"
TOKENS, PADDED, PIXELS, SECONDS = 24, 6, 32, 30
MOST = 30_000_000
"""Parameters of what still counts as small."""
WIDTH = "hidden_size d_model n_embd dim embed_dim embedding_size emb_dim word_embed_proj_dim"
INNER = "hidden_dim intermediate_size ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim"
LAYERS = "n_layers num_hidden_layers num_layers n_layer encoder_layers decoder_layers"
HEADS = (
    "n_heads num_attention_heads n_head num_heads encoder_attention_heads decoder_attention_heads"
)
PLACES = "max_position_embeddings n_positions n_ctx max_target_positions max_source_positions"
SIZES = {
    **dict.fromkeys(WIDTH.split(), 32),
    **dict.fromkeys(INNER.split(), 64),
    **dict.fromkeys(LAYERS.split(), 2),
    **dict.fromkeys(HEADS.split(), 4),
    **dict.fromkeys(PLACES.split(), 128),
    **dict.fromkeys(
        ["num_local_experts", "num_experts", "n_routed_experts", "num_key_value_heads"], 2
    ),
    **dict.fromkeys(["num_experts_per_tok", "n_group", "topk_group", "first_k_dense_replace"], 1),
    **{"vocab_size": 60, "head_dim": 8, "d_kv": 8, "moe_intermediate_size": 32},
    **{"image_size": PIXELS, "patch_size": 8, "num_channels": 3, "type_vocab_size": 2},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    "sliding_window": 16,
}
"""Fields that configs have, and what makes a model small."""


@dataclass(frozen=True)
class Compared:
    """What came of one kind of model."""

    name: str
    outcome: str
    """equal, differs, refused, no attention; or not built, other input, several models, large."""
    largest: float | None = None
    """Largest difference to the reference, of outputs at tokens and of gradients."""
    why: str = ""


def build(name: str, attention: str) -> Any:
    """A small model, with weights of seed 0 and without dropout.

    Raises:
        Exception: whatever its class raises where sizes do not suit it.
    """
    config = CONFIG_MAPPING[name]()
    for field, value in SIZES.items():
        kind = type(getattr(config, field, ""))
        if kind in (int, type(None)) and hasattr(config, field):
            setattr(config, field, value)
    for field in [f for f in vars(config) if "drop" in f]:
        if isinstance(getattr(config, field), float):
            setattr(config, field, 0.0)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    torch.manual_seed(0)
    return AutoModel.from_config(config, attn_implementation=attention).eval()


def model_class(name: str) -> Any:
    """The class that `AutoModel` takes for a kind of model."""
    listed = MODEL_MAPPING_NAMES[name]
    return getattr(transformers, listed if isinstance(listed, str) else listed[0], None)


@contextmanager
def softmax1_in_eager() -> Iterator[list[int]]:
    """Softmax1 wherever an eager attention of transformers takes a softmax; tells how often."""
    real, count = torch.nn.functional.softmax, [0]

    def replaced(x, dim=-1, _stacklevel=3, dtype=None):
        if "eager" not in sys._getframe(1).f_code.co_name:
            return real(x, dim=dim, dtype=dtype)
        count[0] += 1
        x = x if dtype is None else x.to(dtype)
        top = x.amax(dim, keepdim=True).clamp_min(0)
        powers = (x - top).exp()
        return powers / ((-top).exp() + powers.sum(dim, keepdim=True))

    torch.nn.functional.softmax = replaced
    try:
        yield count
    finally:
        torch.nn.functional.softmax = real


def inputs(model: Any, padding: str | None) -> tuple[dict[str, Any], torch.Tensor | None]:
    """What a model is called with, and which tokens of its output count."""
    draw = torch.Generator().manual_seed(1)
    if model.main_input_name == "pixel_values":
        return {"pixel_values": torch.randn(2, 3, PIXELS, PIXELS, generator=draw)}, None
    tokens = torch.randint(5, 60, (2, TOKENS), generator=draw)
    mask = torch.ones_like(tokens)
    if padding is not None:
        mask[1, slice(0, PADDED) if padding == "left" else slice(TOKENS - PADDED, TOKENS)] = 0
    given = {"input_ids": tokens, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        return {**given, "decoder_input_ids": tokens[:, :10]}, None
    return given, mask.bool()


def output(model: Any, given: dict[str, Any], seen: torch.Tensor | None) -> torch.Tensor:
    """The first output of features, at the tokens that count."""
    torch.manual_seed(2)  # some draw, as masked autoencoders what they hide
    made = model(**given)
    first = next(v for v in made.values() if isinstance(v, torch.Tensor) and v.is_floating_point())
    return first[seen] if seen is not None and first.shape[:2] == seen.shape else first


def gradients(model: Any, given: dict[str, Any], seen: torch.Tensor | None) -> torch.Tensor:
    """Derivatives of a loss by all weights, of a model in training."""
    model.train().zero_grad()
    made = output(model, given, seen)
    # Some direction: squares are constant after a last normalisation.
    torch.manual_seed(3)
    (made * torch.randn_like(made)).mean().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def differences(plain: Any, ours: Any) -> tuple[float, bool]:
    """Largest difference between the reference and ours, and whether there is attention at all."""
    largest, attends = 0.0, False
    is_text = plain.main_input_name == "input_ids"
    for padding in (None, "left", "right") if is_text else (None,):
        given, seen = inputs(plain, padding)
        with torch.no_grad(), softmax1_in_eager() as count:
            wanted = output(plain, given, seen)
        with torch.no_grad():
            largest = max(largest, float((output(ours, given, seen) - wanted).abs().max()))
        attends |= count[0] > 0
    given, seen = inputs(plain, "right" if is_text else None)
    with softmax1_in_eager():
        wanted = gradients(plain, given, seen)
    scale = float(wanted.abs().max())
    largest = max(
        largest, float((gradients(ours, given, seen) - wanted).abs().max()) / max(scale, 1)
    )
    if is_text and not ours.config.is_encoder_decoder:
        tokens = inputs(ours, None)[0]["input_ids"]
        with softmax1_in_eager():
            wanted = cached(plain.eval(), tokens)
        if wanted is not None:
            largest = max(largest, float((cached(ours.eval(), tokens) - wanted).abs().max()))
    return largest, attends


@torch.no_grad()
def cached(model: Any, tokens: torch.Tensor) -> torch.Tensor | None:
    """The end of a text, read with what was kept of its beginning; None where nothing is kept."""
    begun = model(input_ids=tokens[:, :16], use_cache=True)
    # Renamed in transformers 5.24.
    name = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"
    if begun.get(name) is None or "last_hidden_state" not in begun:
        return None
    rest = model(input_ids=tokens[:, 16:], use_cache=True, **{name: begun[name]})
    return rest.last_hidden_state


def compare(name: str) -> Compared:
    """Build one kind of model with both, and compare."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return _compare(name)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _compare(name: str) -> Compared:
    try:
        if getattr(CONFIG_MAPPING[name](), "sub_configs", None):
            return Compared(name, "several models")
        plain = build(name, "eager")
        if sum(p.numel() for p in plain.parameters()) > MOST:
            return Compared(name, "large")
        if plain.main_input_name not in ("input_ids", "pixel_values"):
            return Compared(name, "other input", why=plain.main_input_name)
        given, seen = inputs(plain, None)
        with torch.no_grad():
            output(plain, given, seen)
    except (Exception, TimeoutError) as error:
        known = model_class(name)
        if known is not None and hf.has_own_attention(known):
            return Compared(name, "refused", why="attention of its own")
        return Compared(name, "not built", why=" ".join(f"{error}".split())[:200])
    try:
        largest, attends = differences(plain, build(name, ATTENTION))
    except OptionError as error:
        own = "computes attention itself" in str(error)
        return Compared(name, "refused", why="attention of its own" if own else str(error)[:200])
    except (KeyError, ValueError) as error:  # a table of implementations of its own
        if ATTENTION in str(error):
            return Compared(name, "refused", why=" ".join(f"{error}".split())[:200])
        raise
    if not attends:
        return Compared(name, "no attention", largest)
    return Compared(name, "equal" if largest < 1e-5 else "differs", largest)
