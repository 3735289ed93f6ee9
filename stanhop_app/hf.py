"""The associations as attention of Hugging Face transformers (extra ``hf``).

Importing this module registers ``stanhop_softmax``, ``stanhop_softmax1``, ``stanhop_sparsemax`` and
``stanhop_entmax15``; `register` adds others. Any model that knows attention implementations runs with them::

    import stanhop_app.hf
    model = AutoModel.from_pretrained(name, attn_implementation="stanhop_softmax1")

Models with an attention of their own, such as BLOOM or DeBERTa, would take such a name and go on with
softmax; they refuse it instead (`has_own_attention`), for which importing this module puts a check before
``PreTrainedModel.get_correct_attn_implementation``.

Weights that were trained with softmax give other outputs under another association: fine-tune, or train
from the start.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import causal_mask_function, eager_mask

from stanhop_app.errors import OptionError
from stanhop_app.layers import associate
from stanhop_app.layers.association import check_clip, find_association

PREFIX = "stanhop_"
Attention = Callable[..., tuple[Tensor, Tensor | None]]


def register(
    association: str,
    *,
    name: str | None = None,
    n: float = 1.0,
    alpha: float = 1.5,
    clip: tuple[float, float] | None = None,
) -> str:
    """Make an association an attention implementation of transformers.

    Args:
        association: name in `stanhop_app.layers.ASSOCIATIONS`.
        name: what ``attn_implementation`` is to say; default ``stanhop_`` and the association.
        n: no-op classes of "softmax1".
        alpha: exponent of "entmax", fixed.
        clip: (gamma, zeta) of clipped retrieval, or None.

    Returns:
        The name.

    Raises:
        OptionError: for an unknown association, clip bounds that cross, a negative n, or options
            without a name.
    """
    find_association(association)
    if clip is not None:
        check_clip(*clip)
    if n < 0 or alpha < 1:
        raise OptionError(f"n must be at least 0 and alpha at least 1, got n={n}, alpha={alpha}.")
    if name is None and (n, alpha, clip) != (1.0, 1.5, None):
        raise OptionError("options other than the defaults need a name of their own; give name=.")
    name = PREFIX + association if name is None else name
    AttentionInterface.register(name, _attention(name, association, n, alpha, clip))
    # One that is added to scores: whoever does not call the function still hides what is to be hidden.
    AttentionMaskInterface.register(name, _additive_mask)
    _registered.add(name)
    return name


VISIBLE, CAUSAL = "_stanhop_visible", "_stanhop_causal"
"""What a mask keeps of itself: what is seen, as bool, and that it hides what comes later and no more."""
SOFTMAX = {"softmax", "Softmax", "scaled_dot_product_attention", "MultiheadAttention"}
"""What a class calls that weighs by softmax itself."""
_registered: set[str] = set()


def has_own_attention(model: type[PreTrainedModel]) -> bool:
    """Whether a class of models computes attention itself, so that no implementation by name changes it.

    Either the class says so, or a class in its file whose name has "Attention" takes a softmax and never asks
    for an implementation, as the encoder of BigBird-Pegasus does: such a model would be one of two
    associations. Attention that only pools what the layers put out, as in SigLIP, does not count, and keeps
    its softmax.
    """
    classes: list[Any] = [*model.__mro__]
    for known in classes:  # one of a notebook is judged by what it is made from
        if not issubclass(known, PreTrainedModel) or known is PreTrainedModel:
            continue
        text = _text_of(known.__module__)
        if text is not None:
            return not known._can_set_attn_implementation() or bool(_own_attentions(text))
    return False  # nothing can be read: it is left to the function and its mask


def _text_of(module: str) -> str | None:
    """The text of a module; None if there is none to be read."""
    try:
        return inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        return None


@functools.cache
def _own_attentions(text: str) -> tuple[str, ...]:
    """Classes of a module that take a softmax of scores themselves."""
    tree = ast.parse(text)
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return tuple(
        node.name
        for node in classes
        if "Attention" in node.name
        and "Pool" not in node.name
        and (called := {_called(call) for call in ast.walk(node)}) & SOFTMAX
        and "get_interface" not in called
    )


def _called(node: ast.AST) -> str | None:
    """The last name of what is called."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", None))


def _additive_mask(
    *sizes: int,
    mask_function: Callable[..., Any] = causal_mask_function,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> Tensor | None:
    """The mask of eager attention, which says of itself if it is the causal one: kernels need none then."""
    mask: Tensor | None = eager_mask(
        *sizes, mask_function=mask_function, attention_mask=attention_mask, **options
    )
    if mask is None or mask_function is not causal_mask_function or torch.compiler.is_compiling():
        return mask
    at_once = mask.shape[-1] == mask.shape[-2] and not options.get("q_offset")
    if at_once and (attention_mask is None or bool(attention_mask.all())):
        setattr(mask, CAUSAL, True)
    return mask


def _refuse_own_attention() -> None:
    """Let classes with attention of their own refuse the names that are registered here."""
    asked = PreTrainedModel.get_correct_attn_implementation

    @functools.wraps(asked)
    def checked(
        self: PreTrainedModel, requested_attention: str | None, *args: bool, **options: bool
    ) -> str:
        if requested_attention in _registered and has_own_attention(type(self)):
            raise OptionError(
                f"{type(self).__name__} computes attention itself, and would go on with softmax; choose "
                f"another model, or leave attn_implementation={requested_attention!r} out."
            )
        return asked(self, requested_attention, *args, **options)

    PreTrainedModel.get_correct_attn_implementation = checked


def _attention(
    name: str, association: str, n: float, alpha: float, clip: tuple[float, float] | None
) -> Attention:
    takes_n = "n" in find_association(association).options

    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        is_causal: bool | None = None,
        output_attentions: bool = False,
        **options: object,
    ) -> tuple[Tensor, Tensor | None]:
        """Retrieve: (B, H, L, E), (B, G, S, E), (B, G, S, F) -> (B, L, H, F), and weights if asked for."""
        for unknown in ("softcap", "position_bias", "s_aux", "cache"):
            if options.get(unknown) is not None:
                raise OptionError(
                    f"attention {name} cannot do {unknown}, which {type(module).__name__} "
                    "asks for; use another attn_implementation."
                )
        # Under autocast rotary positions leave queries and keys in float32.
        if not query.dtype == key.dtype == value.dtype:
            query, key = query.to(value.dtype), key.to(value.dtype)
        if getattr(attention_mask, CAUSAL, False):
            attention_mask, is_causal = None, True
        causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
        retrieved = associate(
            query,
            key,
            value,
            association=association,
            beta=scaling,
            n=n if takes_n else 1.0,
            alpha=alpha,
            clip=clip,
            mask=None if attention_mask is None else _as_bool(attention_mask),
            # No mask at all means: causal if the layer is, as for PyTorch's own attention. A single
            # query is the newest, which sees everything.
            is_causal=bool(causal) and attention_mask is None and query.shape[-2] > 1,
            dropout_p=dropout,
            return_weights=output_attentions,
        )
        out, weights = retrieved if isinstance(retrieved, tuple) else (retrieved, None)
        return out.transpose(1, 2).contiguous(), weights

    return attention


def _as_bool(mask: Tensor) -> Tensor:
    """A mask of transformers, bool or added to scores, as bool.

    Raises:
        OptionError: if what is added is more than a mask, such as a bias by position.
    """
    if mask.dtype == torch.bool:
        return mask
    compiling = torch.compiler.is_compiling()
    known = None if compiling else getattr(mask, VISIBLE, None)  # the layer before asked, too
    if known is not None:
        return known
    visible = mask == 0
    if compiling:  # no value can be looked at
        return visible
    if not bool((visible | (mask <= torch.finfo(mask.dtype).min / 2)).all()):
        raise OptionError(
            "this model adds a bias by position to the scores, which no association here takes; use "
            "another attn_implementation."
        )
    setattr(mask, VISIBLE, visible)
    return visible


_refuse_own_attention()
NAMES = tuple(register(name) for name in ("softmax", "softmax1", "sparsemax", "entmax15"))
"""What importing this module registers."""
