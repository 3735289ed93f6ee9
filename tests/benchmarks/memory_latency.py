"""Latency of one memory layer beside dense ones, weights cold; a training step of feed-forward networks.

    python tests/benchmarks/memory_latency.py            512 to 512, bits 8, by number of tokens
    python tests/benchmarks/memory_latency.py --train    a training step at the forecaster's default size

Cold: 24 layers of each kind in turn, so that none finds its weights in the nearest cache, and the kinds
take turns. Times are medians over rounds, per layer. Dense bfloat16 weights are kept packed as
oneDNN likes them best, int8 ones as PyTorch's quantised linear layer keeps them.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stanhop_app.layers import MemoryBlock, MemoryLayer
from stanhop_app.layers.feedforward import FeedForward
from stanhop_app.layers.memory_int8 import Int8MemoryLayer
from stanhop_app.models.stanhop import STanHopConfig

WIDTH, BITS, LAYERS, ROUNDS = 512, 8, 24, 41
TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
Layer = Callable[[Tensor], Tensor]


def float32() -> Layer:
    """The baseline."""
    return nn.Linear(WIDTH, WIDTH, bias=False)


def bfloat16() -> Layer:
    """Weights packed once; the input comes in bfloat16."""
    weight = torch.randn(WIDTH, WIDTH).bfloat16()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x.bfloat16(), packed, None, "none", [], "")


def int8() -> Layer:
    """Weights with a scale a row, inputs quantised as they come."""
    weight = torch.randn(WIDTH, WIDTH)
    scales, zeros = weight.abs().amax(1) / 127, torch.zeros(WIDTH, dtype=torch.long)
    quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, None)
    return lambda x: torch.ops.quantized.linear_dynamic(x, packed, True)


def memory() -> Layer:
    """The compiled loop, or PyTorch's operators above its number of tokens."""
    return MemoryLayer(WIDTH, WIDTH, bits=BITS).eval()


def memory_ordinary() -> Layer:
    """PyTorch's operators."""
    layer = MemoryLayer(WIDTH, WIDTH, bits=BITS).eval()
    return lambda x: layer(layer.hash(x))


def memory_int8() -> Layer:
    """The compiled loop on int8 tables."""
    return Int8MemoryLayer(MemoryLayer(WIDTH, WIDTH, bits=BITS)).eval()


KINDS = (float32, bfloat16, int8, memory, memory_ordinary, memory_int8)


@torch.no_grad()
def latency() -> None:
    """Print microseconds per layer, and the ratio to dense float32."""
    kinds = {kind.__name__: [kind() for _ in range(LAYERS)] for kind in KINDS}
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, {WIDTH} to {WIDTH}, bits {BITS}"
    )
    print(f"{'tokens':8}" + "".join(f"{name:>24}" for name in kinds))
    for tokens in TOKENS:
        times: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(ROUNDS):
            for name, layers in kinds.items():
                x = torch.randn(tokens, WIDTH)
                started = time.perf_counter()
                for layer in layers:
                    layer(x)
                times[name].append((time.perf_counter() - started) / LAYERS)
        medians = {name: statistics.median(of) for name, of in times.items()}
        cells = (f"{1e6 * t:.1f} us ({t / medians['float32']:.2f})" for t in medians.values())
        print(f"{tokens:<8}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def train() -> None:
    """Print milliseconds of forward and backward for all tokens of one training step."""
    config = STanHopConfig(num_variates=7)
    patches = -(-config.deep_steps // config.patch_length)
    tokens = 64 * config.num_variates * patches
    networks = {
        "dense": FeedForward(config.dim, config.hidden_dim),
        "memory": MemoryBlock(
            config.dim, bits=config.bits, expand_bits=config.expand_bits, input_norm=False
        ),
    }
    x = torch.randn(tokens, config.dim, requires_grad=True)
    gradient = torch.randn(tokens, config.dim)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            started = time.perf_counter()
            torch.autograd.grad(
                network(F.layer_norm(x, (config.dim,))), [x, *network.parameters()], gradient
            )
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(of) for name, of in times.items()}
    for name, median in medians.items():
        print(
            f"{name:8}{1e3 * median:8.2f} ms for {tokens} tokens ({median / medians['dense']:.2f})"
        )


if __name__ == "__main__":
    train() if "--train" in sys.argv else latency()
