"""Simulated quantisation: grids, the integer computation, ranges, what stays in float."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stanhop_app.layers import Hopfield
from stanhop_app.layers.feedforward import FeedForward
from stanhop_app.layers.memory import MemoryLayer
from stanhop_app.models.stanhop import STanHopConfig, STanHopNet
from stanhop_app.quantization import (
    ActivationQuantizer,
    QuantizationConfig,
    fake_quantize_weight,
    parse_bits,
    quantize,
    weight_scale,
)


def small_net(**options):
    config = {"num_variates": 3, "horizon": 8, "lookback": 24, "patch_length": 8, "dim": 8}
    return STanHopNet(
        STanHopConfig(**{**config, "num_heads": 2, "hidden_dim": 16, **options})
    ).eval()


def calibrated(bits, x, **options):
    quantizer = ActivationQuantizer(QuantizationConfig(activation_bits=bits, **options))
    quantizer(x)
    quantizer.finish()
    return quantizer


@given(bits=st.integers(2, 12), seed=st.integers(0, 99), shift=st.sampled_from([-2.0, 0.0, 5.0]))
def test_rounding_is_to_the_nearest_point_of_the_grid(bits, seed, shift):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(64, generator=generator) + shift
    quantizer = calibrated(bits, x)
    rounded, step = quantizer(x), quantizer.scale.item()
    assert step == pytest.approx(
        (max(x.max().item(), 0) - min(x.min().item(), 0)) / (2**bits - 1), rel=1e-5
    )
    assert (rounded - x).abs().max() <= step * 1.01  # half a step, and a half for the zero point
    assert len(rounded.unique()) <= 2**bits
    assert quantizer(torch.zeros(1)).item() == 0.0


@given(bits=st.integers(2, 12), seed=st.integers(0, 99), method=st.sampled_from(["minmax", "mse"]))
def test_weights_are_on_a_symmetric_grid(bits, seed, method):
    weight = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))
    scale = weight_scale(weight, bits, method).item()
    codes = fake_quantize_weight(weight, bits, method) / scale
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-3)
    largest = 2 ** (bits - 1) - 1
    assert codes.max() <= largest + 1e-4
    assert codes.min() >= -largest - (method == "mse") - 1e-4  # minmax reaches no lower point
    if method == "minmax":
        assert scale == pytest.approx(weight.abs().max().item() / largest)


def test_the_search_is_never_worse_than_the_range_and_better_with_an_outlier():
    weight = torch.randn(40, 40, generator=torch.Generator().manual_seed(0))
    weight[0, 0] = 30.0
    error = {m: (fake_quantize_weight(weight, 4, m) - weight).norm() for m in ("minmax", "mse")}
    assert error["mse"] < 0.7 * error["minmax"]
    assert weight_scale(weight.abs(), 4).item() == pytest.approx(30 / 15)  # no sign, a bit more


def test_the_search_uses_the_lowest_point_of_its_bits():
    """At 4 bits -8 to 7: a sixteenth more points, and less error than with 15."""
    weight = torch.randn(40, 40, generator=torch.Generator().manual_seed(0)) - 0.5
    scale = weight_scale(weight, 4, "mse")
    codes = fake_quantize_weight(weight, 4, "mse") / scale
    assert codes.round().min() == -8
    shares = torch.arange(1, 101) / 100 * weight.abs().max() / 7
    points = [(s * (weight / s).round().clamp(-8, 7) - weight).norm() for s in shares]
    fewer = [(s * (weight / s).round().clamp(-7, 7) - weight).norm() for s in shares]
    error = (codes * scale - weight).norm()
    assert error == pytest.approx(float(min(points)), rel=1e-4)
    assert error < 0.97 * min(fewer)


def test_a_quantised_linear_layer_equals_the_integer_computation():
    torch.manual_seed(0)
    layer, x = nn.Linear(16, 8), torch.randn(32, 16)
    quantized = quantize(layer, [x])
    q = quantized.input_quantizer
    codes = (x / q.scale).round().long() + q.zero.long()
    codes = codes.clamp(0, 255)
    step = weight_scale(layer.weight, 8)
    weight = (layer.weight / step).round().long().clamp(-127, 127)
    total = (codes - q.zero.long()) @ weight.T  # integers only
    wanted = total * (q.scale.double() * step.double()) + layer.bias.double()
    out = quantized.output_quantizer
    points = ((wanted / out.scale.double()).round() + out.zero).clamp(0, 255) - out.zero
    torch.testing.assert_close(
        quantized(x).double() / out.scale.double(), points.double(), rtol=0, atol=1e-3
    )


def test_ranges_are_running_means_of_minimum_and_maximum():
    quantizer = ActivationQuantizer(QuantizationConfig(momentum=0.9))
    for top in (1.0, 2.0, 4.0):
        quantizer(torch.tensor([-top, 2 * top]))
    quantizer.finish()
    low = -(0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 4)
    assert quantizer.scale.item() == pytest.approx(-3 * low / 255, rel=1e-5)


def test_percentiles_leave_out_the_extremes():
    x = torch.linspace(-1, 1, 2001)
    x[0], x[-1] = -500.0, 900.0
    quantizer = calibrated(8, x, percentile=99.9)
    low, high = np.percentile(x.numpy(), [0.1, 99.9], method="inverted_cdf")
    assert quantizer.scale.item() == pytest.approx((high - low) / 255, rel=2e-3)


@pytest.mark.parametrize("feed_forward", ["dense", "memory"])
@pytest.mark.parametrize("association", ["softmax", "softmax1", "entmax15"])
def test_sixteen_bits_change_nothing(association, feed_forward):
    torch.manual_seed(0)
    net = small_net(association=association, feed_forward=feed_forward, gate="linear")
    x = torch.randn(20, 24, 3)
    config = QuantizationConfig(weight_bits=16, activation_bits=16)
    rounded, exact = quantize(net, [x], config)(x), net(x)
    close = (rounded - exact).norm() <= 1e-3 * exact.norm()
    # A memory layer's hash turns with the sign of a number next to 0: there, most windows must agree.
    same = ((rounded - exact).flatten(1).norm(dim=1) <= 1e-3 * exact.flatten(1).norm(dim=1)).sum()
    assert close if feed_forward == "dense" else same >= 18


def test_fewer_bits_are_worse():
    torch.manual_seed(1)
    net, x = small_net(), torch.randn(40, 24, 3)
    errors = [
        (
            quantize(net, [x], QuantizationConfig(weight_bits=b, activation_bits=b))(x) - net(x)
        ).norm()
        for b in (10, 8, 6, 4, 2)
    ]
    assert errors == sorted(errors)
    assert errors[0] > 0


def test_heads_and_gates_stay_in_float_and_the_model_as_it_was():
    torch.manual_seed(0)
    net, x = small_net(gate="all_heads"), torch.randn(4, 24, 3)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    quantized = quantize(net, [x], QuantizationConfig(weight_bits=3))
    after = quantized.state_dict()
    for name, tensor in before.items():
        assert torch.equal(net.state_dict()[name], tensor)
        kept = "heads" in name or ".gate." in name or not name.endswith("weight") or "norm" in name
        if tensor.ndim == 2 or kept:
            assert torch.equal(after[name], tensor) == (kept or tensor.ndim < 2), name
    assert not any(hasattr(m, "input_quantizer") for m in net.modules())
    everything = quantize(net, [x], QuantizationConfig(weight_bits=3, keep=()))
    assert not torch.equal(everything.deep.heads[0][1].weight, net.deep.heads[0][1].weight)


def test_a_tied_head_keeps_its_float_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10, 6)
            self.head = nn.Linear(6, 10, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens):
            return self.head(self.embedding(tokens))

    torch.manual_seed(0)
    model = Tied()
    quantized = quantize(model, [torch.arange(10)[None]], QuantizationConfig(weight_bits=2))
    assert torch.equal(quantized.head.weight, model.head.weight)
    rows = quantized.embedding(torch.arange(10))
    assert len(rows.unique()) <= 3
    # The grid of the activations, 8 bits, lies between the rows and what is seen of them.
    weight = model.embedding.weight.detach()
    wanted = fake_quantize_weight(weight, 2).clamp(weight.min(), weight.max())
    assert (rows - wanted).abs().max() <= quantized.embedding.output_quantizer.scale


def test_scores_and_weights_of_retrievals_are_on_their_grids():
    torch.manual_seed(0)
    layer, x = Hopfield(8, 2), torch.randn(4, 5, 8)
    config = QuantizationConfig(activation_bits=4)
    quantized = quantize(layer, [x], config)
    seen = {}
    for name in ("scores", "weights", "result"):
        quantized.retrieval.quantizers[name].register_forward_hook(
            lambda m, given, out, name=name: seen.__setitem__(name, out)
        )
    quantized(x)
    assert set(seen) == {"scores", "weights", "result"}
    for tensor in seen.values():
        assert 2 <= len(tensor.unique()) <= 16


def test_tables_are_weights():
    torch.manual_seed(0)
    layer, x = MemoryLayer(8, 6, bits=4), torch.randn(30, 8)
    quantized = quantize(layer, [x], QuantizationConfig(weight_bits=4))
    assert len(quantized.table.unique()) <= 15
    assert len(layer.table.unique()) > 15


def test_copies_of_a_quantised_model_do_not_share_quantisers():
    from copy import deepcopy

    torch.manual_seed(0)
    model = quantize(FeedForward(8, 16), [torch.randn(5, 8)])
    twin, x = deepcopy(model), torch.randn(5, 8)
    wanted = model(x)
    twin.up.output_quantizer.scale *= 50
    assert torch.equal(model(x), wanted)
    assert not torch.equal(twin(x), wanted)


def test_bits_by_name():
    assert parse_bits("W4A8") == (4, 8)
    assert QuantizationConfig(weight_bits=4, activation_bits=8).name == "W4A8"
    for text in ("8", "W8", "A8W8", "W8A8x", ""):
        with pytest.raises(ValueError, match="W8A8"):
            parse_bits(text)


def test_layers_called_by_keyword_and_attention_of_pytorch():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            h = self.linear(input=x)
            return self.attention(h, h, h)[0]

    torch.manual_seed(0)
    model, x = Keyword().eval(), torch.randn(3, 5, 4)
    quantized = quantize(model, [x], QuantizationConfig(weight_bits=3, activation_bits=3))
    assert len(quantized.linear.weight.unique()) <= 7
    for name in ("in_proj_weight", "out_proj.weight"):
        assert torch.equal(
            quantized.attention.get_parameter(name), model.attention.get_parameter(name)
        )
    quantizers = [m for m in quantized.modules() if isinstance(m, ActivationQuantizer)]
    assert len(quantizers) == 2
    assert not any(q.calibrating for q in quantizers)


def test_what_cannot_be_quantised_is_said():
    for empty in ([], [torch.zeros(0, 24, 3)]):
        with pytest.raises(ValueError, match="no calibration batch"):
            quantize(small_net(), empty)
    with pytest.raises(ValueError, match="no layer"):
        quantize(nn.Flatten(), [torch.randn(2, 3)])
    for options in (
        {"weight_bits": 1},
        {"activation_bits": 17},
        {"weight_range": "kl"},
        {"percentile": 40.0},
        {"momentum": 1.0},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            QuantizationConfig(**options)
