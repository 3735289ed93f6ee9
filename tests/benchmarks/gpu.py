"""Laws, speed and memory of the layers and of training on a card; on a CPU with --small sizes as a rehearsal.

    python tests/benchmarks/gpu.py --seconds 540 --output gpu.json
    python tests/benchmarks/gpu.py --device cpu --small

Parts, in this order, each written as soon as it is there; what the time does not allow is told as left out:

- "laws": every association on the device in float32, bfloat16 and float16, against float64 on the CPU: what
  is retrieved, its gradients, causal order, the no-op of softmax1.
- "attention": `associate("softmax1")` against PyTorch's attention and FlexAttention with a sink of score 0,
  forward and with gradients, and peak memory, from 512 to 16,384 patterns.
- "memory layers": a feed-forward network of tables against a dense one, by batch.
- "training": windows a second of the default network and of the papers' size, and peak memory.
- "forecasts": of one network on the CPU and on the device.

The exit code is 1 if a law does not hold.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stanhop_app.files import write_json
from stanhop_app.layers import ASSOCIATIONS, associate
from stanhop_app.layers.feedforward import FeedForward
from stanhop_app.layers.memory import MemoryBlock
from stanhop_app.models.stanhop import DeepPart, STanHopConfig, STanHopNet
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.loop import train

Cell = dict[str, Any]
Cells = Iterator[tuple[str, Cell]]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BOUNDS = {"float32": 2e-5, "bfloat16": 4e-2, "float16": 5e-3}
"""Largest error against float64 that a law allows, of values of size 1; TF32 is off."""
PAPER = {"dim": 256, "num_layers": 11, "hidden_dim": 512}
"""The papers' size of STanHop-Net."""


def laws(device: str, small: bool) -> Cells:
    """Errors of every association on the device against float64 on the CPU."""
    shape = (2, 4, 70 if small else 300, 32)
    for association in ASSOCIATIONS:
        for name, dtype in DTYPES.items():
            for causal in (False, True):
                torch.manual_seed(0)
                # Rounded before, so that only what is computed of them differs.
                wide = [torch.randn(shape).to(dtype).double() for _ in range(4)]
                made = retrieved(wide, association, causal, device, dtype)
                true = retrieved(wide, association, causal, "cpu", torch.float64)
                errors = [(a - b).abs() for a, b in zip(made, true, strict=True)]
                # A rounding of scores may move a pattern in or out of sparsemax's support, where its
                # derivatives jump: of these the mean must be small, not the largest.
                jumps = association == "sparsemax"
                told = [float(errors[0].max())]
                told += [float(e.mean() if jumps else e.max()) for e in errors[1:]]
                bound = BOUNDS[name] * (1 if association.startswith("softmax") else 4)
                key = f"{association} {name}{' causal' if causal else ''}"
                yield key, {"errors": told, "bound": bound, "holds": max(told) <= bound}
    far = torch.full((1, 1, 3, 8), 50.0, device=device)
    nothing = associate(far, -far, far, association="softmax1").abs().max()
    yield (
        "no-op far away",
        {"errors": [float(nothing)], "bound": 1e-6, "holds": bool(nothing <= 1e-6)},
    )


def retrieved(
    wide: list[Tensor], association: str, causal: bool, device: str, dtype: torch.dtype
) -> list[Tensor]:
    """What is retrieved and the gradients of query, key and value, in float64 on the CPU."""
    *inputs, gradient = (x.to(device, dtype) for x in wide)
    inputs = [x.requires_grad_() for x in inputs]
    out = associate(*inputs, association=association, beta=32**-0.5, is_causal=causal)
    grads = torch.autograd.grad(out, inputs, gradient)
    return [x.detach().double().cpu() for x in (out, *grads)]


def attention(device: str, small: bool) -> Cells:
    """Times and peak memory of one retrieval, beside other ways."""
    lengths = (64, 128) if small else (512, 1024, 2048, 4096, 8192, 16384)
    kinds = {"float32": torch.float32} if device == "cpu" else {**DTYPES}
    for name, dtype in kinds.items():
        for length in lengths:
            batch = 1 if small else max(16384 // length, 1)
            shape = (batch, 2 if small else 8, length, 64)
            for way, function in ways(device).items():
                inputs = [torch.randn(shape, device=device, dtype=dtype) for _ in range(4)]
                yield f"{way} {name} {length}", timed(function, inputs, device)


def ways(device: str) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Ours, PyTorch's softmax, and FlexAttention's softmax1; the last needs a compiler."""
    known: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
        "associate softmax1": lambda q, k, v: associate(q, k, v, association="softmax1"),
        "PyTorch softmax": F.scaled_dot_product_attention,
    }
    if device == "cuda":
        known["FlexAttention softmax1"] = flex()
    return known


def flex() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """softmax1 from FlexAttention's output and log-sum-exp."""
    from torch.nn.attention.flex_attention import flex_attention

    compiled = torch.compile(flex_attention)

    def retrieve(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out, log_sum_exp = compiled(query, key, value, return_lse=True)
        share: Tensor = torch.sigmoid(log_sum_exp)[..., None]
        return out * share.to(out.dtype)

    return retrieve


def timed(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: list[Tensor], device: str
) -> Cell:
    """Milliseconds forward and with gradients, the median of several, and peak memory with gradients."""
    *tensors, gradient = inputs
    try:
        with torch.no_grad():
            forward = median(lambda: function(*tensors), device)
        learned = [x.requires_grad_() for x in tensors]
        reset_peak(device)
        both = median(lambda: torch.autograd.grad(function(*learned), learned, gradient), device)
        return {"forward_ms": forward, "both_ms": both, "peak_mb": peak(device)}
    except (RuntimeError, NotImplementedError) as error:  # out of memory, no kernel, no compiler
        return {"failed": " ".join(str(error).split())[:200]}


def median(work: Callable[[], object], device: str, rounds: int = 7) -> float:
    """Milliseconds, after two rounds to warm up."""
    times = []
    for number in range(rounds + 2):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        if number > 1:
            times.append(1e3 * (time.perf_counter() - started))
    return sorted(times)[len(times) // 2]


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: str) -> None:
    """Forget the most memory that was in use."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak(device: str) -> float | None:
    """The most memory that was in use since, in MB; None where nobody counts."""
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None


def memory_layers(device: str, small: bool) -> Cells:
    """Milliseconds of a feed-forward network of tables and of a dense one."""
    width = 64 if small else 512
    for kind in ("dense", "memory"):
        made = FeedForward(width, 4 * width) if kind == "dense" else MemoryBlock(width, bits=8)
        layer = made.to(device).eval()
        for batch in (1, 8) if small else (1, 16, 256, 4096, 65536):
            x = torch.randn(batch, width, device=device)
            with torch.no_grad():
                yield f"{kind} {batch}", {"forward_ms": median(partial(layer, x), device)}


class Windows:
    """A task of random windows: what is learned does not matter to its speed."""

    def __init__(self, config: STanHopConfig, size: int):
        shape = (size, config.lookback + config.horizon, config.num_variates)
        self.values, self.lookback = torch.randn(shape), config.lookback
        self.train_size, self.validation_size = size, 1

    def to(self, device: torch.device) -> None:
        """Move the windows."""
        self.values = self.values.to(device)

    def loss(self, model: nn.Module, indices: Tensor, *, validation: bool) -> Tensor:
        """Mean squared error."""
        windows = self.values[indices.to(self.values.device)]
        made: Tensor = model(windows[:, : self.lookback])
        return (made - windows[:, self.lookback :]).square().mean()


def training(device: str, small: bool) -> Cells:
    """Windows a second of two sizes of network in two precisions."""
    for size, further in {"default": {}, "papers": PAPER}.items():
        if small and size == "papers":
            continue
        for precision in ("32-true",) if device == "cpu" else ("32-true", "bf16-mixed"):
            config = STanHopConfig(num_variates=7, lookback=96 if small else 336, **further)
            batch, steps = (16, 4) if small else (256, 60)
            options = TrainingConfig(
                max_steps=steps, batch_size=batch, device=device, precision=precision
            )
            reset_peak(device)
            network = DeepPart(config)
            history = train(network, Windows(config, batch * steps), options, progress=False)
            yield (
                f"{size} {precision}",
                {
                    "parameters": sum(p.numel() for p in network.parameters()),
                    "windows_a_second": history[-1]["samples_per_second"],
                    "peak_mb": peak(device),
                },
            )


def forecasts(device: str, small: bool) -> Cells:
    """Largest difference between what a network forecasts on the CPU and on the device."""
    torch.manual_seed(0)
    network = STanHopNet(STanHopConfig(num_variates=7, lookback=336)).eval()
    x = torch.randn(4 if small else 64, 336, 7)
    with torch.no_grad():
        here, there = network(x), network.to(device)(x.to(device)).cpu()
    error = float((here - there).abs().max())
    yield "forecasts", {"errors": [error], "bound": 1e-4, "holds": error <= 1e-4}


PARTS = {
    "laws": laws,
    "forecasts": forecasts,
    "attention": attention,
    "memory layers": memory_layers,
    "training": training,
}


def main(arguments: list[str] | None = None) -> int:
    """Run all parts; 1 if a law does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA card here; --device cpu --small rehearses.")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    name = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor()
    content: dict[str, Any] = {
        "kind": "gpu",
        "version": 1,
        "machine": {"device": options.device, "name": name, "torch": torch.__version__},
        "cells": {},
        "left_out": [],
    }
    end, broken = time.monotonic() + options.seconds, 0
    for part, work in PARTS.items():
        try:
            for key, cell in work(options.device, options.small):
                content["cells"][f"{part}: {key}"] = {"part": part, **cell}
                broken += cell.get("holds") is False
                print(f"{part}: {key}: {_shown(cell)}", flush=True)
                if options.output is not None:
                    write_json(options.output, content)
                if time.monotonic() > end:
                    content["left_out"].append(f"{part} after {key}")
                    break
        except (RuntimeError, NotImplementedError) as error:
            reason = " ".join(str(error).split())[:300]
            content["cells"][part] = {"part": part, "failed": reason}
            print(f"{part}: failed: {reason}", flush=True)
            broken += part in ("laws", "forecasts")
    if options.output is not None:
        write_json(options.output, content)
    print(f"{broken} laws do not hold; left out: {content['left_out'] or 'nothing'}")
    return int(broken > 0)


def _shown(cell: Cell) -> str:
    """A cell in one line."""
    words = []
    for name, value in cell.items():
        if isinstance(value, list):
            value = max(value)
        words.append(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(words)


if __name__ == "__main__":
    raise SystemExit(main())
