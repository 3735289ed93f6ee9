"""LLaMA's blocks in OPT, BERT and ViT; OPT against Hugging Face's Llama, and what its parts must hold."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from stanhop_app.layers import Hopfield
from stanhop_app.layers.feedforward import SwiGLU
from stanhop_app.layers.rotary import rotate
from stanhop_app.models.config import BERTConfig, OPTConfig, STanHopConfig, ViTConfig
from stanhop_app.models.hugging_face import save_checkpoint
from stanhop_app.models.opt import OPT
from stanhop_app.models.variants import parse_variant
from stanhop_app.studies.suite import multiply_adds
from stanhop_app.suite.config import make_network

SIZES = {"vocab_size": 50, "max_length": 64, "dim": 32, "num_layers": 2, "hidden_dim": 48}
OF_BLOCK = {
    "retrieve.query": "self_attn.q_proj",
    "retrieve.key": "self_attn.k_proj",
    "retrieve.value": "self_attn.v_proj",
    "retrieve.out": "self_attn.o_proj",
    "retrieve_norm": "input_layernorm",
    "feed_norm": "post_attention_layernorm",
    "feed.gate": "mlp.gate_proj",
    "feed.up": "mlp.up_proj",
    "feed.down": "mlp.down_proj",
}


def modern(**options):
    return OPT(OPTConfig(**{**SIZES, "dropout": 0.0, "modern": True, **options})).eval()


@pytest.fixture
def pair():
    """Ours with softmax, and Hugging Face's with the same weights."""
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        num_attention_heads=4,
        num_key_value_heads=4,
        num_hidden_layers=2,
        intermediate_size=48,
        rms_norm_eps=1e-5,
        attn_implementation="eager",
    )
    theirs = LlamaForCausalLM(config).eval()
    names = {"tokens": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
    for block in (0, 1):
        names |= {f"blocks.{block}.{a}": f"model.layers.{block}.{b}" for a, b in OF_BLOCK.items()}
    ours, given = modern(association="softmax"), theirs.state_dict()
    ours.load_state_dict({f"{a}.weight": given[f"{b}.weight"] for a, b in names.items()})
    return ours, theirs


def test_it_is_llama(pair):
    ours, theirs = pair
    tokens = torch.randint(0, 50, (3, 20))
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-6)
    mask = torch.ones(3, 20, dtype=torch.bool)
    mask[0, :6], mask[1, 15:] = False, False
    padded = theirs(tokens, attention_mask=mask.long()).logits
    torch.testing.assert_close(ours(tokens, mask)[mask], padded[mask], rtol=1e-5, atol=1e-6)


SMALL = {"dim": 32, "num_layers": 2, "hidden_dim": 48, "dropout": 0.0, "modern": True}


@pytest.mark.parametrize(
    ("model", "config"), [("opt", OPTConfig), ("bert", BERTConfig), ("vit", ViTConfig)]
)
def test_no_part_of_a_modern_model_has_a_bias(model, config, tmp_path):
    network = make_network(model, config(**SMALL))
    names = [name for name, _ in network.named_parameters()]
    assert not [name for name in names if "bias" in name]
    assert model == "vit" or "positions" not in " ".join(names)
    assert {type(m) for m in network.modules() if "Norm" in type(m).__name__} == {nn.RMSNorm}
    assert sum(isinstance(m, SwiGLU) for m in network.modules()) == 2
    with pytest.raises(ValueError, match="only models without .* modern blocks"):
        save_checkpoint(network, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_modern_bert_is_modern_opt_that_sees_both_sides():
    """Of the same weights; without a mask of the future, every block reads all tokens."""
    opt = modern(association="softmax1", num_layers=1)
    bert = make_network("bert", BERTConfig(**{**SIZES, **SMALL, "num_layers": 1})).eval()
    bert.load_state_dict(opt.state_dict() | {"segments.weight": torch.zeros(2, 32)})
    tokens = torch.randint(0, 50, (2, 12))
    # The last token sees all of them in both.
    torch.testing.assert_close(bert(tokens)[:, -1], opt(tokens)[:, -1])
    assert not torch.allclose(bert(tokens)[:, 0], opt(tokens)[:, 0])


def test_modern_bert_leaves_padding_alone_on_either_side():
    bert = make_network("bert", BERTConfig(**{**SIZES, **SMALL})).eval()
    tokens, mask = torch.randint(0, 50, (2, 12)), torch.ones(2, 12, dtype=torch.bool)
    mask[0, :4], mask[1, 9:] = False, False
    padded = bert(tokens, mask)
    torch.testing.assert_close(padded[0, 4:], bert(tokens[:1, 4:])[0])
    torch.testing.assert_close(padded[1, :9], bert(tokens[1:, :9])[0])


def test_scores_of_turned_vectors_depend_on_their_distance_alone():
    query, key = (torch.randn(1, 1, 1, 8, dtype=torch.float64) for _ in range(2))
    q, k = (rotate(x.expand(1, 1, 30, 8)) for x in (query, key))
    scores = (q @ k.transpose(-1, -2))[0, 0]
    for distance in (-7, 0, 3):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores[0, 0], (query * key).sum())
    torch.testing.assert_close(q.norm(dim=-1), query.norm(dim=-1).expand(1, 1, 30))


@pytest.mark.parametrize("options", [{"steps": 2}, {"dim": 12, "num_heads": 4}])
def test_places_that_cannot_be_turned_are_refused(options):
    options = {"dim": 8, "num_heads": 2, **options}
    with pytest.raises(ValueError, match="rotary needs one step and heads of an even width"):
        Hopfield(**options, rotary=True)


def test_swiglu_is_its_formula():
    feed, x = SwiGLU(6, 10), torch.randn(3, 6)
    gate, up, down = feed.gate.weight, feed.up.weight, feed.down.weight
    torch.testing.assert_close(feed(x), (F.silu(x @ gate.T) * (x @ up.T)) @ down.T)


@pytest.mark.parametrize("model", ["opt", "bert"])
def test_multiply_adds_of_its_own_head_are_counted_once(model):
    tokens, per_block = torch.zeros(1, 10, dtype=torch.long), 4 * 32 * 32 + 3 * 32 * 48
    config = {"opt": OPTConfig, "bert": BERTConfig}[model](**{**SIZES, **SMALL})
    assert multiply_adds(make_network(model, config), tokens) == 10 * (2 * per_block + 32 * 50)


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("opt", OPTConfig),
        ("bert", BERTConfig),
        ("vit", ViTConfig),
        ("stanhop", lambda **options: STanHopConfig(num_variates=2, **options)),
    ],
)
def test_every_model_takes_n_and_learns_it(model, config):
    from stanhop_app.models.stanhop import STanHopNet

    made = config(n=4.0, learn_n=True, learn_beta=True)
    network = STanHopNet(made) if model == "stanhop" else make_network(model, made)
    layers = [m for m in network.modules() if isinstance(m, Hopfield)]
    assert layers
    for layer in layers:
        torch.testing.assert_close(layer.log_n.exp(), torch.full((4, 1, 1), 4.0))
        assert layer.log_beta.requires_grad


def test_variants_name_their_no_op_classes():
    options = {"clip": (-0.1, 1.0), "gate": "linear"}
    assert parse_variant("softmax1+n16+gate", **options)["n"] == 16
    assert parse_variant("softmax1+n0.5", **options)["n"] == 0.5
    assert "n" not in parse_variant("softmax1", **options)
    with pytest.raises(ValueError, match="unknown word 'nine'"):
        parse_variant("softmax1+nine", **options)
