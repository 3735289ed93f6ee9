"""Laws of the Hopfield layers."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from stanhop_app.layers import ASSOCIATIONS, Hopfield, HopfieldPooling
from stanhop_app.layers.hopfield import GATES

COMBINATIONS = list(itertools.product(ASSOCIATIONS, [None, (-0.03, 1.0)], [None, *GATES]))


def batch(queries=5, dim=8):
    return torch.randn(2, queries, dim)


def test_softmax_without_gate_is_torch_multi_head_attention():
    layer = Hopfield(8, 2, association="softmax", value_from_key=False)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    projections = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        reference.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        reference.out_proj.load_state_dict(layer.out.state_dict())
    x, y = batch(), batch(7)
    torch.testing.assert_close(layer(x, y), reference(x, y, y)[0])


def test_the_value_is_a_map_of_the_key():
    layer = Hopfield(8, 1, association="softmax")
    x = batch()
    keys = layer.key(x)
    attended = F.scaled_dot_product_attention(layer.query(x), keys, layer.value(keys))
    torch.testing.assert_close(layer(x), layer.out(attended))


def test_heads_do_not_mix_positions():
    """The released code scrambles them: one query's change reached other rows."""
    layer = Hopfield(8, 4)
    x, stored = batch(), batch(7)
    changed = x.clone()
    changed[:, 3] += 1
    same = [0, 1, 2, 4]
    torch.testing.assert_close(layer(x, stored)[:, same], layer(changed, stored)[:, same])


def test_stored_patterns_are_used_in_any_order():
    layer = Hopfield(8, 4)
    x, stored = batch(), batch(7)
    torch.testing.assert_close(layer(x, stored), layer(x, stored.flip(1)))


@pytest.mark.parametrize(("association", "clip", "gate"), COMBINATIONS)
def test_every_parameter_gets_a_gradient(association, clip, gate):
    # Wide scores, so that clipping does not stop everything.
    layer = Hopfield(8, 2, association=association, clip=clip, gate=gate, beta=1.0)
    pooling = HopfieldPooling(8, 2, 3, association=association, clip=clip, gate=gate)
    for module, out in ((layer, layer(batch())), (pooling, pooling(batch()))):
        (out * torch.randn_like(out)).sum().backward()
        for name, parameter in module.named_parameters():
            if name.endswith("key.bias"):
                continue  # through the values only: also covered, but may cancel in the scores
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_starts_open_by_gate_init(gate):
    torch.manual_seed(0)
    gated = Hopfield(8, 2, gate=gate, gate_init=0.25)
    values = gated.gate(torch.zeros(2, 5, 8))
    torch.testing.assert_close(values, torch.full((2, 2, 5, 1), 0.25))


@pytest.mark.parametrize("gate", GATES)
def test_gradients_through_a_gate_are_those_of_finite_differences(gate):
    layer = Hopfield(4, 2, gate=gate).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_more_steps_iterate_the_query():
    one, three = (
        Hopfield(8, 1, association="softmax"),
        Hopfield(8, 1, association="softmax", steps=3),
    )
    three.load_state_dict(one.state_dict())
    x = batch()
    keys, q = one.key(x), one.query(x)
    for _ in range(2):
        q = F.scaled_dot_product_attention(q, keys, keys)
    attended = F.scaled_dot_product_attention(q, keys, one.value(keys))
    torch.testing.assert_close(three(x), one.out(attended))


@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_a_seed_fixes_output_to_the_bit(association):
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(HopfieldPooling(8, 2, 3, association=association)(torch.ones(1, 5, 8)))
    assert torch.equal(*outputs)
    assert outputs[0].isfinite().all()


def test_pooling_does_not_depend_on_the_order_of_what_is_stored():
    pooling = HopfieldPooling(8, 2, 3)
    stored = batch(7)
    torch.testing.assert_close(pooling(stored), pooling(stored.flip(1)))
    assert pooling(stored).shape == (2, 3, 8)


def test_alpha_of_entmax_is_learned_per_head_from_1_5():
    layer = Hopfield(8, 2, association="entmax")
    torch.testing.assert_close(layer.alpha, torch.full((2, 1, 1), 1.5))
    layer(batch()).square().sum().backward()
    assert (layer.alpha_logit.grad != 0).all()


def test_dropout_acts_in_training_only():
    layer = Hopfield(8, 2, dropout=0.5)
    x = batch()
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "num_heads must divide dim, got dim=8, num_heads=3"),
        ({"num_heads": 0}, "num_heads must divide dim"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"association": "tanh"}, "unknown association 'tanh'; choose one of: softmax"),
        ({"gate": "big"}, "gate must be None or one of linear, mlp, all_heads, got 'big'"),
        ({"gate": "mlp", "gate_init": 1.0}, r"gate_init is a probability in \(0, 1\), got 1.0"),
        ({"clip": (-0.1, 0.5)}, "zeta >= 1"),
    ],
)
def test_bad_options_say_what_was_required(options, message):
    with pytest.raises(ValueError, match=message):
        Hopfield(8, **{"num_heads": 2, **options})


def test_pooling_needs_a_query():
    with pytest.raises(ValueError, match="num_queries must be at least 1, got 0"):
        HopfieldPooling(8, 2, 0)
