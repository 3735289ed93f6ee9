"""Laws of the Hopfield layers."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from stanhop_app.layers import ASSOCIATIONS, Hopfield, HopfieldLayer, HopfieldPooling
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
    lookup = HopfieldLayer(8, 2, 3, association=association, clip=clip, gate=gate, beta=1.0)
    for module in (layer, pooling, lookup):
        out = module(batch())
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


@pytest.mark.parametrize(("association", "clip", "gate"), COMBINATIONS)
def test_gradients_are_those_of_finite_differences(association, clip, gate):
    torch.manual_seed(1)  # away from the kinks of sparsemax and clip
    layer = Hopfield(4, 2, association=association, clip=clip, gate=gate).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,), atol=1e-4)


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


def test_a_tolerance_ends_the_steps_of_each_query_by_itself():
    torch.manual_seed(0)
    layer = Hopfield(8, 2, steps=40, tolerance=1e-3, beta=2.0)
    x, stored = 3 * batch(), 3 * batch(7)
    alone = torch.cat([layer(x[:, i : i + 1], stored) for i in range(5)], dim=1)
    torch.testing.assert_close(layer(x, stored), alone)
    patient = Hopfield(8, 2, steps=40, beta=2.0)
    patient.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x, stored), patient(x, stored), rtol=0, atol=1e-2)
    assert not torch.equal(layer(x, stored), patient(x, stored))


def test_shared_keys_are_keys_repeated_for_every_head():
    grouped = Hopfield(8, 4, num_key_heads=2)
    full = Hopfield(8, 4, value_from_key=False)
    x, stored = batch(), batch(7)

    def repeated(heads):  # rows of a projection, a head's width at a time
        return heads.unflatten(0, (2, 2)).repeat_interleave(2, 0).flatten(0, 1)

    with torch.no_grad():
        for name in ("query", "out"):
            getattr(full, name).load_state_dict(getattr(grouped, name).state_dict())
        full.key.weight.copy_(repeated(grouped.key.weight))
        full.key.bias.copy_(repeated(grouped.key.bias))
        full.value.weight.copy_(repeated(grouped.value.weight @ grouped.key.weight))
        value_bias = grouped.value.weight @ grouped.key.bias + grouped.value.bias
        full.value.bias.copy_(repeated(value_bias))
    torch.testing.assert_close(grouped(x, stored), full(x, stored), rtol=1e-4, atol=1e-5)


def test_beta_and_n_are_learned_per_head_from_where_they_start():
    fixed = Hopfield(8, 2, beta=0.7, n=3.0)
    learned = Hopfield(8, 2, beta=0.7, n=3.0, learn_beta=True, learn_n=True)
    learned.load_state_dict(fixed.state_dict(), strict=False)
    x = batch()
    torch.testing.assert_close(learned(x), fixed(x))
    torch.testing.assert_close(learned.beta, torch.full((2, 1, 1), 0.7))
    torch.testing.assert_close(learned.log_n.exp(), torch.full((2, 1, 1), 3.0))
    learned(x).square().sum().backward()
    assert (learned.log_beta.grad != 0).all()
    assert (learned.log_n.grad != 0).all()


def test_many_no_op_classes_retrieve_nothing():
    layer = Hopfield(8, 2, n=1e9, bias=False)
    torch.testing.assert_close(layer(batch()), torch.zeros(2, 5, 8), rtol=0, atol=1e-6)


def test_learned_patterns_are_stored_for_every_sample():
    lookup = HopfieldLayer(8, 2, 6)
    x = batch()
    wanted = lookup.hopfield(x, lookup.patterns.expand(2, -1, -1))
    torch.testing.assert_close(lookup(x), wanted)
    mask = torch.tensor([True, False, True, True, False, True])
    kept = lookup.hopfield(x, lookup.patterns[mask].expand(2, -1, -1))
    torch.testing.assert_close(lookup(x, mask=mask), kept)


def test_shared_queries_are_the_same_for_every_sample():
    pooling = HopfieldPooling(8, 2, 3, gate="mlp")
    stored = batch(7)
    wanted = pooling.hopfield(pooling.queries.expand(2, -1, -1), stored)
    torch.testing.assert_close(pooling(stored), wanted)


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
    with torch.no_grad():
        layer.alpha_logit.copy_(torch.tensor([-90.0, 90.0]).view(2, 1, 1))
    assert layer(batch()).isfinite().all()  # learned as far as it goes
    torch.testing.assert_close(layer.alpha.flatten(), torch.tensor([1.01, 1.99]))
    with torch.no_grad():
        layer.alpha_logit.zero_()
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
        ({"num_key_heads": 3}, "num_key_heads must divide num_heads, got num_heads=2"),
        ({"tolerance": -1.0}, "tolerance must be None or at least 0, got -1.0"),
        ({"beta": 0.0}, "beta must be above 0, got 0.0"),
        ({"dropout": 1.5}, r"dropout must be in \[0, 1\), got 1.5"),
        ({"n": -1.0}, "n must be at least 0.* got -1.0"),
        ({"n": 0.0, "learn_n": True}, "above 0 to be learned, got 0.0"),
        ({"n": 2.0, "association": "softmax"}, "options of \"softmax1\" only, got 'softmax'"),
    ],
)
def test_bad_options_say_what_was_required(options, message):
    with pytest.raises(ValueError, match=message):
        Hopfield(8, **{"num_heads": 2, **options})


def test_pooling_needs_a_query():
    with pytest.raises(ValueError, match="num_queries must be at least 1, got 0"):
        HopfieldPooling(8, 2, 0)


def test_a_look_up_needs_a_pattern():
    with pytest.raises(ValueError, match="num_patterns must be at least 1, got 0"):
        HopfieldLayer(8, 2, 0)


@pytest.mark.parametrize(
    ("query", "stored", "message"),
    [
        ((2, 5, 8), (3, 7, 8), r"one batch \(or 1\), got \(2, 5, 8\) and \(3, 7, 8\)"),
        ((2, 5, 6), (2, 7, 8), "must have width 8, got 6 and 8"),
        ((5, 8), (7, 8), r"must be \(batch, patterns, width\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(query, stored, message):
    layer = Hopfield(8, 2)
    plain = getattr(Hopfield.forward, "__wrapped__", Hopfield.forward)
    with pytest.raises(ValueError, match=message):
        plain(layer, torch.zeros(query), torch.zeros(stored))


@pytest.mark.parametrize(
    "module", [Hopfield(8, 2), HopfieldPooling(8, 2, 3), HopfieldLayer(8, 2, 3)]
)
def test_an_empty_batch_stays_empty(module):
    assert module(torch.zeros(0, 5, 8)).shape[0] == 0


def test_a_large_memory_is_read_by_all_options_alike():
    """More patterns than `SMALL_MEMORY`: the fused kernel, against one query after the other."""
    layer = Hopfield(8, 4, num_key_heads=2, learn_beta=True, learn_n=True, n=2.0, gate="linear")
    stored = batch(200)
    mask = torch.rand(2, 1, 1, 200) < 0.5
    whole = layer(stored, mask=mask, is_causal=True)
    for last in (3, 90, 199):
        seen = layer(stored[:, last : last + 1], stored[:, : last + 1], mask=mask[..., : last + 1])
        torch.testing.assert_close(whole[:, last : last + 1], seen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_layers_run_in_bfloat16(association):
    layer = Hopfield(16, 4, association=association).bfloat16()
    out = layer(30 * torch.randn(2, 9, 16).bfloat16())
    out.float().square().sum().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("options", [{}, {"value_from_key": False}, {"num_key_heads": 1}])
def test_memory_projections_are_look_ups_without_an_output_map(options):
    torch.manual_seed(0)
    layer = Hopfield(16, 2, projection="memory", bits=3, association="softmax", **options)
    x, stored = batch(dim=16), batch(7, dim=16)
    for memory in (None, stored):
        content = x if memory is None else memory
        keys = layer.key(content)
        source = layer.key_norm(keys) if options.get("value_from_key", True) else content
        heads = [
            y.unflatten(-1, (-1, 8)).transpose(1, 2)
            for y in (layer.query(x), keys, layer.value(source))
        ]
        out = F.scaled_dot_product_attention(*heads, enable_gqa=True).transpose(1, 2).flatten(2)
        torch.testing.assert_close(layer(x, memory), out)


def test_every_parameter_of_memory_projections_gets_a_gradient():
    torch.manual_seed(0)
    layer = Hopfield(8, 2, projection="memory", bits=2, gate="linear")
    layer(torch.randn(40, 9, 8)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_an_unknown_projection_is_named_with_the_list():
    with pytest.raises(ValueError, match="projection must be one of dense, memory, got 'hash'"):
        Hopfield(8, 2, projection="hash")
