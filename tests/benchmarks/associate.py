"""Speed and memory of `associate("softmax1")` beside plain attention and explicit weights, in one run.

    python tests/benchmarks/associate.py             the table
    python tests/benchmarks/associate.py --border    where explicit weights stop being faster
    python tests/benchmarks/associate.py --memory    peak memory up to 16,384 patterns

"Explicit" is the form of the papers' code: scores, a maximum, exponentials and a quotient as tensors of
their own. Times are the least of several rounds that take turns.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stanhop_app.layers import associate

SHAPES = ((8, 12, 512, 64), (2, 8, 2048, 64), (32, 12, 128, 64), (224, 4, 28, 64), (896, 4, 28, 8))
BORDERS = [(384 // e, 8, s, e) for e in (8, 32, 64, 128) for s in (16, 64, 96, 128, 192, 256, 384)]
Retrieve = Callable[[Tensor, Tensor, Tensor], Tensor]


def explicit(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax1 attention as the papers' code computes it."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    top = scores.max(-1, keepdim=True).values
    weights = torch.exp(scores - top)
    return (weights / (torch.exp(-top) + weights.sum(-1, keepdim=True))) @ value


def seconds(
    ways: dict[str, Retrieve], shape: tuple[int, ...], rounds: int
) -> dict[str, tuple[float, float]]:
    """Least seconds forward, and forward and backward, of every way on one shape."""
    query, key, value, gradient = (torch.randn(shape) for _ in range(4))
    inputs = [x.requires_grad_() for x in (query, key, value)]
    best = {name: (float("inf"), float("inf")) for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with torch.no_grad():
                started = time.perf_counter()
                way(query, key, value)
                forward = time.perf_counter() - started
            started = time.perf_counter()
            torch.autograd.grad(way(query, key, value), inputs, gradient)
            both = time.perf_counter() - started
            best[name] = (min(best[name][0], forward), min(best[name][1], both))
    return best


def table() -> None:
    """Print the speeds of plain attention, `associate` and explicit weights."""
    ways = {
        "plain": F.scaled_dot_product_attention,
        "associate": lambda q, k, v: associate(q, k, v),
        "explicit": explicit,
    }
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, float32, ms forward / with backward"
    )
    print(
        f"{'(B, H, L, E)':20}{'plain':>16}{'softmax1':>16}{'explicit':>16}{'of plain':>16}{'of explicit':>16}"
    )
    for shape in SHAPES:
        found = seconds(ways, shape, rounds=40)
        cells = [f"{1e3 * f:.1f} / {1e3 * b:.1f}" for f, b in found.values()]
        for other in ("plain", "explicit"):
            speed = [o / a for o, a in zip(found[other], found["associate"], strict=True)]
            cells.append(f"{speed[0]:.2f} / {speed[1]:.2f}")
        print(f"{shape!s:20}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def border() -> None:
    """Print how much faster explicit weights are than the fused kernel, by patterns and width."""
    ways = {
        "explicit": lambda q, k, v: associate(q, k, v, fused=False),
        "fused": lambda q, k, v: associate(q, k, v, fused=True),
    }
    print(f"{'(B, H, L, E)':20}{'forward':>10}{'both':>10}   seconds fused / seconds explicit")
    for shape in BORDERS:
        found = seconds(ways, shape, rounds=7)
        speed = [f / e for f, e in zip(found["fused"], found["explicit"], strict=True)]
        print(f"{shape!s:20}{speed[0]:10.2f}{speed[1]:10.2f}", flush=True)


def memory() -> None:
    """Print the peak memory that a forward and backward pass adds, a process a size."""
    print(f"{'patterns':>10}{'MiB':>10}{'explicit weights would be':>28}")
    for patterns in (1024, 2048, 4096, 8192, 16384):
        command = [sys.executable, __file__, "--memory-of", str(patterns)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        weights = 8 * patterns**2 * 4 / 2**20
        print(f"{patterns:10}{float(done.stdout):10.0f}{weights:24,.0f} MiB", flush=True)


def memory_of(patterns: int) -> None:
    """Peak memory in MiB added by one pass over 8 heads of width 64."""
    before = 0
    for inputs in (_inputs(256), _inputs(patterns)):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out = associate(*inputs)
        assert isinstance(out, Tensor)
        out.sum().backward()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def _inputs(patterns: int) -> list[Tensor]:
    return [torch.randn(1, 8, patterns, 64, requires_grad=True) for _ in range(3)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--border", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--memory-of", type=int)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.memory_of:
        memory_of(options.memory_of)
    elif options.memory:
        memory()
    elif options.border:
        border()
    else:
        table()
