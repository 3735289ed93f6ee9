"""The compiled loop and int8 tables against the ordinary route."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.layers import MemoryBlock, MemoryLayer, memory_kernel
from stanhop_app.layers.memory_int8 import Int8MemoryLayer, int8_memory


@pytest.fixture
def calls(monkeypatch):
    """How often the compiled loop was called."""
    found = []
    inner = memory_kernel.look_up

    def counted(*arguments):
        found.append(arguments[0].shape)
        return inner(*arguments)

    monkeypatch.setattr(memory_kernel, "look_up", counted)
    return found


@torch.no_grad()
def ordinary(layer, x):
    return layer(layer.hash(x))


@given(
    width=st.integers(1, 70),
    out=st.integers(1, 70),
    bits=st.integers(1, 8),
    tokens=st.sampled_from([0, 1, 2, 63, 65]),
    temperature=st.floats(0.2, 5),
    score=st.sampled_from(["softmax", "l1"]),
    bias=st.booleans(),
)
def test_the_loop_equals_the_ordinary_route(width, out, bits, tokens, temperature, score, bias):
    options = {"bits": min(bits, width), "temperature": temperature, "score": score, "bias": bias}
    layer = MemoryLayer(width, out, **options).eval()
    x = torch.randn(tokens, width)
    x[torch.rand(x.shape) < 0.1] = 0.0
    x[torch.rand(x.shape) < 0.05] = -0.0
    with torch.no_grad():
        assert layer.uses_loop(x)
        torch.testing.assert_close(layer(x), ordinary(layer, x), rtol=1e-5, atol=1e-5)
        exact = Int8MemoryLayer(layer)
        torch.testing.assert_close(exact(x), ordinary(exact, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("width", "bits"), [(512, 8), (64, 4), (96, 6), (30, 7)])
def test_int8_tables_are_within_one_and_a_half_percent(width, bits):
    layer = MemoryLayer(width, 64, bits=bits).eval()
    x = torch.randn(40, width)
    with torch.no_grad():
        error = (Int8MemoryLayer(layer)(x) - layer(x)).norm() / layer(x).norm()
    assert 1e-4 < error < 0.015


def test_the_loop_is_used_for_few_tokens_without_derivatives_only(calls):
    layer = MemoryLayer(8, 4).eval()
    few = torch.randn(memory_kernel.FEW_NUMBERS // 8, 8)
    with torch.no_grad():
        layer(few)
        assert len(calls) == 1
        layer(torch.cat([few, few[:1]]))
        layer(few.bfloat16())
        layer.train()(few)
        assert len(calls) == 1
    layer.eval()(few).sum().backward()
    assert len(calls) == 1
    assert layer.table.grad.abs().sum() > 0


def test_without_numba_the_ordinary_route_is_used(calls, monkeypatch):
    layer = MemoryLayer(8, 4).eval()
    x = torch.randn(3, 8)
    with torch.no_grad():
        expected = layer(x)
        monkeypatch.setattr(memory_kernel, "_compiled", lambda: None)
        torch.testing.assert_close(layer(x), expected)
    assert len(calls) == 1


def test_the_loop_reads_any_layout_and_the_tables_of_now():
    layer = MemoryLayer(8, 4).eval()
    x = torch.randn(8, 5).T
    with torch.no_grad():
        torch.testing.assert_close(layer(x), ordinary(layer, x))
        layer.table.mul_(2)
        torch.testing.assert_close(layer(x), ordinary(layer, x))
        assert layer(torch.randn(2, 3, 8)).shape == (2, 3, 4)
        assert layer(torch.randn(8)).shape == (4,)
        with pytest.raises(ValueError, match=r"must be 8 wide, got \(2, 7\)"):
            layer(torch.randn(2, 7))
        missing = layer(torch.tensor([[float("nan"), *[0.0] * 7]]))
    assert missing.isnan().all()


def test_a_network_is_copied_with_int8_tables():
    block = torch.nn.Sequential(MemoryBlock(16), torch.nn.Linear(16, 2))
    small = int8_memory(block)
    assert isinstance(block[0].first, MemoryLayer)
    assert isinstance(small[0].first, Int8MemoryLayer)
    assert small[0].first.table.dtype == torch.int8
    x = torch.randn(200, 16)
    error = (small(x) - block.eval()(x)).norm(dim=-1) / block(x).norm(dim=-1)
    assert error.median() < 0.02  # where rounding flips a sign of the second hash it is larger
    state = small.state_dict()
    small.load_state_dict(state)
    assert isinstance(int8_memory(MemoryLayer(4, 2)), Int8MemoryLayer)


def test_tables_of_zeros_stay_zeros():
    layer = MemoryLayer(4, 2, bits=2).eval()
    torch.nn.init.zeros_(layer.table)
    assert torch.equal(Int8MemoryLayer(layer)(torch.randn(3, 4)), torch.zeros(3, 2))


def test_nothing_is_read_beyond_the_tables():
    layer = MemoryLayer(8, 4, bits=4).eval()
    small = Int8MemoryLayer(layer)
    for one in (layer, small):
        for width in (7, 12, 64):
            with (
                torch.no_grad(),
                pytest.raises(ValueError, match=rf"must be 8 wide, got \(2, {width}\)"),
            ):
                one(torch.ones(2, width))
    with pytest.raises(ValueError, match="have 10 rows, which does not fit"):
        memory_kernel.look_up(torch.ones(1, 8), torch.ones(10, 4), layer.hashing)
    with pytest.raises(ValueError, match="the hash was made by"):
        small(MemoryLayer(8, 4, bits=2).hash(torch.ones(2, 8)))


def test_the_loop_keeps_out_of_traces_and_transforms():
    layer = MemoryLayer(8, 4).eval()
    x = torch.randn(3, 8)
    with torch.no_grad():
        assert layer.uses_loop(x)
        spectrum = torch.fft.fft(x).conj().imag
        assert spectrum.is_neg()
        torch.testing.assert_close(layer(spectrum), ordinary(layer, spectrum))
        seen = []
        torch.func.vmap(lambda one: seen.append(layer.uses_loop(one)) or one)(x)
        assert seen == [False]
        torch.set_default_dtype(torch.float64)
        try:
            assert layer(x).dtype == torch.float32
        finally:
            torch.set_default_dtype(torch.float32)


def test_int8_tables_refuse_what_is_not_finite_and_pass_gradients_on():
    layer = MemoryLayer(8, 4)
    small = Int8MemoryLayer(layer)
    x = torch.randn(3, 8, requires_grad=True)
    (found,) = torch.autograd.grad(small(x).sum(), x)
    (wanted,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(found, wanted, rtol=0.1, atol=0.02)
    layer.table.data[3, 1] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        Int8MemoryLayer(layer)
