"""Memory layers against the product with one-hot codes, which they compute without it."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stanhop_app.layers import MemoryBlock, MemoryLayer, look_up, replace_linear
from stanhop_app.layers.hashing import chunk_widths, score_power
from stanhop_app.layers.look_up import _hear_of_beta
from stanhop_app.layers.memory import LARGEST_BYTES

CASES = [(8, 4), (8, 1), (8, 8), (10, 4), (7, 3), (64, 6), (12, 5), (9, 2), (21, 7), (3, 3)]
BATCHES = [(0,), (1,), (63,), (65,), (2, 3), (2, 0, 3), ()]


def oracle(layer, x):
    """Every row of every table times its share, written as the paper's equations are."""
    out, column, row = 0.0, 0, 0
    for width in layer.widths:
        z = x[..., column : column + width]
        patterns = torch.tensor(list(product((-1.0, 1.0), repeat=width)), dtype=x.dtype).flip(-1)
        similarity = z @ patterns.T / layer.hashing.temperature
        code = (torch.where(z >= 0, 1.0, -1.0).to(x.dtype) @ patterns.T).argmax(-1)
        one_hot = nn.functional.one_hot(code, 2**width).to(x.dtype)
        score = (torch.softmax(similarity, -1) * one_hot).sum(-1, keepdim=True)
        if layer.hashing.score == "l1":
            score = score * (similarity * one_hot).sum(-1, keepdim=True)
        out = out + (score * one_hot) @ layer.table[row : row + 2**width]
        column, row = column + width, row + 2**width
    return out if layer.bias is None else out + layer.bias


def numbers(*shape, seed=0):
    """Standard normal numbers with zeros among them, of both signs."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = torch.where(torch.rand(shape, generator=generator) < 0.1, 0.0, x)
    return torch.where(torch.rand(shape, generator=generator) < 0.05, -0.0, x)


@pytest.mark.parametrize("score", ["softmax", "l1"])
@pytest.mark.parametrize(("width", "bits"), CASES)
def test_the_look_up_is_the_product_with_one_hot_codes(width, bits, score):
    torch.manual_seed(0)
    layer = MemoryLayer(width, 5, bits=bits, temperature=0.7, score=score, bias=True).double()
    for batch in BATCHES:
        x = numbers(*batch, width).requires_grad_()
        inputs = [x, layer.table, layer.bias]
        out, expected = layer(x), oracle(layer, x)
        assert out.shape == (*batch, 5)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
        weights = numbers(*batch, 5, seed=1)
        gradients = torch.autograd.grad((out * weights).sum(), inputs)
        truth = torch.autograd.grad((expected * weights).sum(), inputs)
        for found, true in zip(gradients, truth, strict=True):
            torch.testing.assert_close(found, true, rtol=0, atol=1e-10)


@given(
    width=st.integers(1, 40),
    bits=st.integers(1, 8),
    temperature=st.floats(0.1, 10),
    score=st.sampled_from(["softmax", "l1"]),
    scale=st.sampled_from([1e-6, 1.0, 1e3]),
)
def test_the_look_up_is_that_product_for_any_width(width, bits, temperature, score, scale):
    bits = min(bits, width)
    layer = MemoryLayer(width, 3, bits=bits, temperature=temperature, score=score).double()
    x = (numbers(4, width) * scale).requires_grad_()
    out, expected = layer(x), oracle(layer, x)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    found, true = (torch.autograd.grad(y.sum(), x)[0] for y in (out, expected))
    torch.testing.assert_close(found, true, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("score", ["softmax", "l1"])
def test_the_gradient_through_p_is_that_of_finite_differences(score):
    layer = MemoryLayer(7, 3, bits=3, score=score).double()
    x = numbers(5, 7, seed=3)
    x = torch.where(x.abs() < 1e-3, 0.1, x).requires_grad_()  # away from the jumps at 0
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradcheck(
        lambda table: torch.func.functional_call(layer, {"table": table}, (x.detach(),)),
        (layer.table.detach().clone().requires_grad_(),),
    )


def test_zero_has_the_sign_plus_one_on_every_dtype():
    layer = MemoryLayer(4, 2, bits=4)
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        assert layer.hash(torch.zeros(1, 4, dtype=dtype)).rows.item() == 15
        assert layer.hash(torch.full((1, 4), -0.0, dtype=dtype)).rows.item() == 15


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_are_exact_in_half_precision(dtype):
    """Codes packed in floating point would be wrong beyond 256 (bfloat16) and 2048 (float16)."""
    layer = MemoryLayer(26, 2, bits=13)
    x = numbers(50, 26).to(dtype)
    assert torch.equal(layer.hash(x).rows, layer.hash(x.double()).rows)


@pytest.mark.parametrize("scale", [1e-30, 1e4, 1e30])
def test_extreme_inputs_give_finite_outputs_and_gradients(scale):
    layer = MemoryLayer(12, 3, bits=5)
    x = (numbers(9, 12).float() * scale).requires_grad_()
    out = layer(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert out.isfinite().all()
    assert gradient.isfinite().all()


def test_a_missing_value_is_not_hidden():
    assert MemoryLayer(4, 2)(torch.tensor([[1.0, math.nan, 0.0, 2.0]])).isnan().all()


def test_scores_lie_between_an_equal_share_and_one():
    layer = MemoryLayer(12, 3, bits=4)
    assert (layer.hash(torch.zeros(1, 12)).scores == 2.0**-4).all()
    assert (layer.hash(torch.full((1, 12), 50.0)).scores == 1.0).all()


def test_chunks_are_as_even_as_possible():
    assert chunk_widths(64, 6) == [6] * 9 + [5] * 2
    assert chunk_widths(512, 8) == [8] * 64
    assert chunk_widths(5, 5) == [5]


@pytest.mark.parametrize("score", ["softmax", "l1"])
@pytest.mark.parametrize(("width", "bits"), [(64, 4), (64, 6), (30, 7)])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_outputs_start_with_variance_one(width, bits, score, temperature):
    torch.manual_seed(0)
    layer = MemoryLayer(width, 64, bits=bits, score=score, temperature=temperature)
    with torch.no_grad():
        assert layer(torch.randn(4000, width)).var().item() == pytest.approx(1, abs=0.12)


def test_mean_scores_are_those_of_the_published_statistics():
    """Means and deviations of p for standard normal inputs (tau 4: .366, .141; tau 8: .134, .076)."""
    for width, mean, deviation in [(4, 0.366, 0.141), (8, 0.134, 0.076), (10, 0.081, 0.052)]:
        assert score_power(width, 1.0, "softmax") == pytest.approx(mean**2 + deviation**2, rel=0.01)


def test_layers_of_one_input_share_its_hash():
    torch.manual_seed(0)
    x = torch.randn(6, 10)
    layers = [MemoryLayer(10, out, bits=4) for out in (3, 7)]
    hashed = layers[0].hash(x)
    for layer in layers:
        assert torch.equal(layer(hashed), layer(x))
    for options in ({"bits": 2}, {"bits": 4, "temperature": 2.0}, {"bits": 4, "score": "l1"}):
        with pytest.raises(ValueError, match="the hash was made by .* the layer needs"):
            MemoryLayer(10, 3, **options)(hashed)
    other = MemoryLayer(9, 3, bits=3).hash(torch.randn(2, 9))
    with pytest.raises(ValueError, match="the hash was made by"):
        MemoryLayer(12, 3, bits=4)(other)


@pytest.mark.parametrize("gelu", [False, True])
def test_every_parameter_of_a_block_that_is_looked_up_gets_a_gradient(gelu):
    torch.manual_seed(0)
    block = MemoryBlock(12, bits=3, expand_bits=1, gelu=gelu)
    block(torch.randn(2000, 12)).square().sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert (block.first.table.grad.abs().sum(-1) > 0).all()


def test_a_block_is_two_layers_with_a_norm_before_each():
    torch.manual_seed(0)
    block = MemoryBlock(10, bits=4, expand_bits=2)
    assert block.first.out_features == block.second.in_features == 3 * 6
    assert block.second.widths == [6, 6, 6]
    x = torch.randn(5, 10)
    normed = nn.functional.layer_norm(x, (10,))
    hidden = nn.functional.layer_norm(block.first(normed), (18,))
    torch.testing.assert_close(block(x), block.second(hidden))
    bare = MemoryBlock(10, bits=4, input_norm=False)
    assert {name for name, _ in block.named_parameters()} - {
        name for name, _ in bare.named_parameters()
    } == {"norm.weight", "norm.bias"}


def test_a_layer_that_is_built_without_numbers_takes_those_of_a_state_dict():
    layer = MemoryLayer(8, 3, bits=3)
    x = torch.randn(5, 8)
    with torch.device("meta"):
        empty, emptied = (MemoryLayer(8, 3, bits=3) for _ in range(2))
    empty.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(empty(x), layer(x))
    emptied.to_empty(device="cpu").load_state_dict(layer.state_dict())
    assert torch.equal(emptied(x), layer(x))


def test_a_seed_fixes_a_layer_to_the_bit():
    tables = []
    for _ in range(2):
        torch.manual_seed(3)
        tables.append(MemoryLayer(8, 4).table)
    assert torch.equal(*tables)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "bits must be a whole number in 1..16, got 0"),
        ({"bits": 17}, "bits must be a whole number in 1..16, got 17"),
        ({"bits": 9}, "width must be at least bits, got width 8 and 9 bits"),
        ({"temperature": 0.0}, "temperature must be in 1e-06..1e.06, got 0"),
        ({"temperature": math.nan}, "temperature must be in 1e-06..1e.06, got nan"),
        ({"score": "l2"}, "score must be one of softmax, l1, got 'l2'"),
        ({"out_features": 0}, "out_features must be at least 1, got 0"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MemoryLayer(**{"in_features": 8, "out_features": 4, **options})


def test_tables_beyond_the_limit_are_refused_with_their_size():
    size = 32 * 2**16 * 512 * 4
    assert size > LARGEST_BYTES
    with pytest.raises(ValueError, match=f"would take {size:,} bytes"):
        MemoryLayer(512, 512, bits=16)


def test_a_wrong_width_and_negative_expansion_are_named():
    with pytest.raises(ValueError, match=r"must be 8 wide, got \(2, 7\)"):
        MemoryLayer(8, 4)(torch.zeros(2, 7))
    with pytest.raises(ValueError, match=r"bits \+ expand_bits must be at most 16, got 14 \+ 4"):
        MemoryBlock(64, bits=14, expand_bits=4)
    with pytest.raises(ValueError, match="expand_bits must be at least 0, got -1"):
        MemoryBlock(8, expand_bits=-1)


def test_linear_layers_are_replaced_where_the_filter_says():
    torch.manual_seed(0)
    inner = nn.Linear(8, 8, bias=False)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), inner, inner, nn.Linear(8, 2)).double()
    same = replace_linear(network, bits=4, filter=lambda name, linear: name != "4")
    assert same is network
    assert isinstance(network[0], MemoryLayer)
    assert network[0].bias is not None
    assert network[2] is network[3]
    assert network[2].bias is None
    assert type(network[4]) is nn.Linear
    assert network(torch.randn(3, 4, dtype=torch.float64)).shape == (3, 2)
    alone = replace_linear(nn.Linear(4, 3), bits=2)
    assert isinstance(alone, MemoryLayer)


def test_replacing_refuses_tied_and_narrow_layers_and_then_changes_nothing():
    embedding, head = nn.Embedding(10, 8), nn.Linear(8, 10, bias=False)
    head.weight = embedding.weight
    network = nn.ModuleDict({"first": nn.Linear(8, 8), "embedding": embedding, "head": head})
    with pytest.raises(ValueError, match="head: shares a weight with another part"):
        replace_linear(network, bits=4)
    assert type(network["first"]) is nn.Linear
    with pytest.raises(ValueError, match="width must be at least bits"):
        replace_linear(nn.Sequential(nn.Linear(8, 8), nn.Linear(2, 8)), bits=4)


def test_a_transformer_layer_runs_and_learns_with_memory_layers():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    replace_linear(layer, bits=4)
    assert isinstance(layer.linear1, MemoryLayer)
    x = torch.randn(2, 5, 16)
    layer(x).sum().backward()
    assert layer.linear1.table.grad.abs().sum() > 0
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    with torch.no_grad():  # PyTorch's fast path would read the weights of linear layers
        torch.testing.assert_close(layer.eval()(x), layer.train()(x))
        assert encoder.eval()(x).isfinite().all()


def test_a_first_use_while_compiling_is_no_obstacle():
    _hear_of_beta.cache_clear()
    layer = MemoryLayer(8, 3, bits=4)
    x = torch.randn(4, 8)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), layer(x))


def test_derivatives_are_those_of_embedding_bag(monkeypatch):
    """The sparse products against PyTorch's own backward pass, float32."""
    layer = MemoryLayer(30, 17, bits=7)
    x = torch.randn(50, 30, requires_grad=True)
    found = []
    for sparse in (True, False):
        monkeypatch.setattr(look_up, "_is_sparse_faster", lambda *_, sparse=sparse: sparse)
        found.append(torch.autograd.grad(layer(x).square().sum(), [x, layer.table]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
