"""Layers under what PyTorch does with functions: torch.func, second derivatives, export, compile, meta.

The table in ``stanhop_app/layers/README.md`` says the same; the last test holds it to `CANNOT`.
"""

import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap

import stanhop_app.layers
from stanhop_app.layers import ASSOCIATIONS, Hopfield, HopfieldLayer, HopfieldPooling, associate
from stanhop_app.layers.memory import MemoryBlock, MemoryLayer

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PyTorch's own, of forward mode
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
]
BUILT_IN = ("softmax", "softmax1", "sparsemax", "entmax15", "entmax")


class Associate(nn.Module):
    """`associate`, in which two heads of queries share each head of keys."""

    def __init__(self, association, *, fused=None):
        super().__init__()
        self.options = {"association": association, "fused": fused, "alpha": 1.3}

    def forward(self, x):
        query = x[:, None].repeat(1, 4, 1, 1)
        return associate(query, query[:, :2], query[:, :2], **self.options)


LAYERS = {
    **{f"associate, {name}": lambda name=name: Associate(name) for name in BUILT_IN},
    "associate, fused": lambda: Associate("softmax1", fused=True),
    "Hopfield": lambda: Hopfield(8, 2, association="entmax"),
    "Hopfield, tolerance": lambda: Hopfield(8, 2, steps=3, tolerance=1e-3),
    "HopfieldPooling": lambda: HopfieldPooling(8, 2, 3),
    "HopfieldLayer": lambda: HopfieldLayer(8, 2, 5),
    "MemoryLayer": lambda: MemoryLayer(8, 8, bits=4, score="l1"),
    "MemoryBlock": lambda: MemoryBlock(8, bits=4),
}
CANNOT = {
    ("associate, fused", "jvp"): "forward AD",
    ("associate, fused", "second derivatives"): "not implemented",
    ("MemoryLayer", "jvp"): "implement the jvp function",
    ("MemoryBlock", "jvp"): "implement the jvp function",
}
"""What cannot be, and what its error says."""


def built(name):
    torch.manual_seed(0)
    layer = LAYERS[name]().double().eval()
    weights = {key: weight.detach() for key, weight in layer.named_parameters()}
    return layer, lambda x: functional_call(layer, weights, (x,))


def some(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def of_vmap(layer, f, x):
    torch.testing.assert_close(vmap(lambda row: f(row[None])[0])(x), f(x))
    one = vmap(grad(lambda row: f(row[None]).sin().sum()))(x)
    torch.testing.assert_close(one, of_grad(layer, f, x))


def of_grad(layer, f, x):
    leaf = x.clone().requires_grad_()
    layer(leaf).sin().sum().backward()
    torch.testing.assert_close(grad(lambda y: f(y).sin().sum())(x), leaf.grad)
    return leaf.grad


def of_jvp(layer, f, x):
    along, step = some(*x.shape, seed=2), 1e-6
    _, moved = jvp(f, (x,), (along,))
    numbers = (f(x + step * along) - f(x - step * along)) / (2 * step)
    torch.testing.assert_close(moved, numbers, rtol=1e-5, atol=1e-6)


def of_second(layer, f, x):
    assert torch.autograd.gradgradcheck(f, (x[:1, :3].clone().requires_grad_(),))
    weights = [w for w in layer.parameters() if w.requires_grad]
    if weights:  # what a penalty on gradients takes: a derivative of a derivative, by the weights
        leaf = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(layer(leaf).sin().sum(), leaf, create_graph=True)
        for second in torch.autograd.grad(first.square().sum(), weights, allow_unused=True):
            assert second is None or second.isfinite().all()


def of_meta(layer, f, x):
    assert layer.to("meta")(x.to("meta")).shape == f(x).shape


CHECKS = {
    "vmap": of_vmap,
    "grad": of_grad,
    "jvp": of_jvp,
    "second derivatives": of_second,
    "meta": of_meta,
}


@pytest.mark.parametrize("what", CHECKS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_bear_what_pytorch_does_with_functions(name, what):
    layer, f = built(name)
    if (name, what) in CANNOT:
        with pytest.raises((NotImplementedError, RuntimeError), match=CANNOT[name, what]):
            CHECKS[what](layer, f, some(3, 7, 8))
    else:
        CHECKS[what](layer, f, some(3, 7, 8))


class Together(nn.Module):
    """Layers of every kind, added up; one module, as tracing takes seconds."""

    def __init__(self):
        super().__init__()
        # What is left out is in another: MemoryLayer in MemoryBlock, entmax in Hopfield.
        left_out = ("HopfieldPooling", "associate, entmax", "associate, softmax", "MemoryLayer")
        self.layers = nn.ModuleList(built(name)[0] for name in LAYERS if name not in left_out)

    def forward(self, x):
        outs = [layer(x) for layer in self.layers]
        return torch.stack([out.mean(1) if out.ndim == 4 else out for out in outs]).sum(0)


@pytest.mark.parametrize("score", ["softmax", "l1"])
def test_several_gradients_at_once_are_those_one_by_one(score):
    layer, x = MemoryLayer(8, 5, bits=4, score=score).double(), some(3, 8)
    one, together = (
        torch.autograd.functional.jacobian(layer, x, vectorize=v) for v in (False, True)
    )
    torch.testing.assert_close(together, one)


@pytest.fixture
def unchecked():
    """Without checks of shapes at run time, which tracing would read."""
    jaxtyping.config.update("jaxtyping_disable", True)


@pytest.mark.slow
def test_all_layers_are_exported_with_a_length_that_is_left_open(unchecked):
    layers, length = Together(), torch.export.Dim("length", min=2, max=4096)
    with torch.no_grad():
        made = torch.export.export(layers, (some(3, 7, 8),), dynamic_shapes=({1: length},)).module()
        for number in (5, 300):
            x = some(3, number, 8)
            torch.testing.assert_close(made(x), layers(x), rtol=1e-6, atol=1e-8)


def check_compiled():
    """Raise unless all layers are compiled as one graph, with the numbers and derivatives of eager mode."""
    layers, x = Together(), some(3, 7, 8)
    leaf = x.clone().requires_grad_()
    out = torch.compile(layers, fullgraph=True, backend="aot_eager")(leaf)
    torch.testing.assert_close(out, layers(x))
    out.sin().sum().backward()
    torch.testing.assert_close(leaf.grad, of_grad(layers, layers, x))


@pytest.mark.slow
def test_all_layers_are_compiled_without_a_break():
    """In a process of its own: checks of shapes are wrappers, which the compiler cannot read."""
    code = "import test_transforms; test_transforms.check_compiled()"
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, timeout=300
    )
    assert made.returncode == 0, made.stderr.decode()[-2000:]


def test_what_cannot_be_stands_in_the_table():
    page = (Path(stanhop_app.layers.__file__).parent / "README.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    header = next(row for row in rows if "second derivatives" in row)
    told = {
        (name, what)
        for name, *cells in rows
        for what, cell in zip(header[1:], cells, strict=False)
        if cell == "refused"
    }
    assert set(CANNOT) == told
    assert set(BUILT_IN) <= set(ASSOCIATIONS)
