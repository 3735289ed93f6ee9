"""Simulated low-bit networks: post-training quantisation by the protocol of the outlier papers.

Weights are symmetric per tensor, activations asymmetric per tensor with static ranges: a running minimum
and maximum over calibration batches. Every number of the quantised network lies on the grid of its bits,
so that its accuracy is that of integer arithmetic with wide sums (what stays in float aside: see
`quantize`); its speed is not. For speed there is `stanhop_app.runs.onnx`.

References:
    Bondarenko, Nagel and Blankevoort, arXiv 2306.12929, appendix C; Hu et al., arXiv 2404.03828, section 4.
"""

import copy
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.quantization import MovingAverageMinMaxObserver

from stanhop_app.errors import OptionError
from stanhop_app.layers.block import Residual
from stanhop_app.layers.hashing import Hashed
from stanhop_app.layers.memory import MemoryLayer, swap_modules
from stanhop_app.layers.retrieval import Retrieval
from stanhop_app.models.config import FLOAT_PARTS as FLOAT_PARTS
from stanhop_app.models.config import QuantizationConfig as QuantizationConfig
from stanhop_app.outliers import Batch, call, num_samples

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, MemoryLayer)
ACTIVATIONS = (nn.GELU, nn.ReLU, nn.SiLU, nn.Tanh, nn.Sigmoid)
NORM = re.compile("Norm(1d|2d)?$")
CANDIDATES = 100
"""Ranges that the search by squared error tries."""


def parse_bits(text: str) -> tuple[int, int]:
    """Bits of weights and of activations of a name such as W4A8.

    Raises:
        OptionError: if it is none.
    """
    match = re.fullmatch(r"[Ww](\d{1,2})[Aa](\d{1,2})", text)
    if match is None:
        raise OptionError(f"bits must be written as in W8A8 or W4A8, got {text!r}.")
    return int(match[1]), int(match[2])


def weight_scale(weight: Tensor, bits: int, weight_range: str = "minmax") -> Tensor:
    """Step of the symmetric grid of a weight tensor, a scalar.

    The grid is ``-2^(b-1) .. 2^(b-1) - 1`` steps, or ``0 .. 2^b - 1`` where no weight is negative.
    "minmax": the largest weight is the last point (the lowest point is not reached then). "mse": of 1%, 2%,
    ..., 100% of that, the step with the least squared error, which clips what lies beyond both ends.
    """
    low, high = _weight_grid(weight, bits)
    top = (weight.abs().max() / high).clamp_min(torch.finfo(weight.dtype).tiny)
    if weight_range == "minmax":
        return top
    shares = torch.arange(1, CANDIDATES + 1, device=weight.device) / CANDIDATES
    errors = torch.stack([(_on_grid(weight, s * top, low, high) - weight).norm() for s in shares])
    return shares[errors.argmin()] * top


def fake_quantize_weight(weight: Tensor, bits: int, weight_range: str = "minmax") -> Tensor:
    """The weights moved to the nearest points of their grid (`weight_scale`)."""
    return _on_grid(weight, weight_scale(weight, bits, weight_range), *_weight_grid(weight, bits))


def _weight_grid(weight: Tensor, bits: int) -> tuple[int, int]:
    largest = 2 ** (bits - 1) - 1
    return (-largest - 1, largest) if weight.min() < 0 else (0, 2**bits - 1)


def _on_grid(weight: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    zero = torch.zeros((), dtype=torch.int32, device=weight.device)
    return torch.fake_quantize_per_tensor_affine(weight, scale.float(), zero, low, high)


class ActivationQuantizer(nn.Module):
    """Learns the range of what passes, then rounds it.

    ``scale (clamp(round(x / scale) + zero, 0, 2^b - 1) - zero)``.
    The range always holds 0, which is a point of the grid.
    """

    scale: Tensor
    zero: Tensor

    def __init__(self, config: QuantizationConfig):
        super().__init__()
        self.last, self.percentile = 2**config.activation_bits - 1, config.percentile
        self.observer = MovingAverageMinMaxObserver(
            averaging_constant=1 - config.momentum,
            dtype=torch.qint32,  # the widest: the grid is that of quant_min and quant_max
            quant_min=0,
            quant_max=self.last,
        )
        self.calibrating = True
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero", torch.zeros((), dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same: as it is while calibrating, then on the grid."""
        if self.calibrating:
            self.observer(self._bounds(x.detach()))
            return x
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, self.last)

    def finish(self) -> None:
        """Fix the range; a quantiser that nothing passed leaves things as they are."""
        if self.observer.min_val.isinf():
            return
        scale, zero = self.observer.calculate_qparams()
        self.scale, self.zero = scale.squeeze(), zero.squeeze().to(torch.int32)
        self.calibrating = False

    def _bounds(self, x: Tensor) -> Tensor:
        """Smallest and largest value, or the percentiles in their place."""
        if self.percentile is None:
            return torch.stack(x.aminmax()).float()
        flat = x.flatten().float()
        rank = min(max(round(self.percentile / 100 * len(flat)), 1), len(flat))
        return torch.stack([flat.kthvalue(len(flat) + 1 - rank).values, flat.kthvalue(rank).values])


class QuantizedRetrieval(Retrieval):
    """Retrieval whose scores and weights are on a grid, like its inputs and its result."""

    def __init__(self, config: QuantizationConfig):
        super().__init__()
        names = ("query", "key", "value", "scores", "weights", "result")
        self.quantizers = nn.ModuleDict({name: ActivationQuantizer(config) for name in names})

    def forward(self, query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        """As `Retrieval`."""
        on_grid = self.quantizers
        retrieved = super().forward(
            on_grid["query"](query),
            on_grid["key"](key),
            on_grid["value"](value),
            tap=lambda name, x: on_grid[name](x),
            **options,
        )
        rounded: Tensor = on_grid["result"](retrieved)
        return rounded


@torch.no_grad()
def quantize(
    model: nn.Module, batches: Iterable[Batch], config: QuantizationConfig | None = None
) -> nn.Module:
    """A copy of a model in simulated low-bit arithmetic, calibrated on batches.

    On the grid are: weights, embeddings and tables; inputs and outputs of linear, convolution and memory
    layers, normalisations and activation functions; queries, keys, values, scores, weights and results
    of retrievals; sums of residual streams. In float stay what ``config.keep`` names, what is computed
    outside modules (instance normalisation, the linear part of the forecaster), biases, PyTorch's own
    `nn.MultiheadAttention` and layers of other libraries' own kinds (the Conv1D of GPT-2). Attention of
    other libraries is seen from outside only. Ranges are of the float network's activations.

    Args:
        model: any module; it is not changed.
        batches: calibration data, of *training* rows: what the model is called with, as of
            `stanhop_app.outliers.record`.
        config: bits, ranges and what stays in float.

    Raises:
        OptionError: if there is no batch, or nothing to quantise.
    """
    config = config or QuantizationConfig()
    quantized = copy.deepcopy(model).eval()
    chosen = {
        name: module
        for name, module in quantized.named_modules()
        if not set(name.split(".")) & set(config.keep)
    }
    for name, module in quantized.named_modules():
        if isinstance(module, nn.MultiheadAttention):  # reads its parts' weights, calls none
            chosen = {n: m for n, m in chosen.items() if not n.startswith(f"{name}.")}
    new: dict[int, nn.Module] = {}
    for module in chosen.values():
        if type(module) is Retrieval:
            new[id(module)] = QuantizedRetrieval(config)
        else:
            _prepare(module, config)
    quantized = swap_modules(quantized, new)
    quantizers = [m for m in quantized.modules() if isinstance(m, ActivationQuantizer)]
    if not quantizers:
        raise OptionError("the model has no layer that could be quantised.")
    empty = True
    for batch in batches:
        if num_samples(batch):
            call(quantized, batch)
            empty = False
    if empty:
        raise OptionError("there is no calibration batch.")
    for quantizer in quantizers:
        quantizer.finish()
    for module in chosen.values():
        _round_weight(module, config)
    return quantized


def _prepare(module: nn.Module, config: QuantizationConfig) -> None:
    """Give an operation the quantisers of its input and output."""
    norm = NORM.search(type(module).__name__) is not None
    if isinstance(module, WEIGHTED) or norm:
        module.input_quantizer = ActivationQuantizer(config)
        module.register_forward_pre_hook(_round_input, with_kwargs=True)
    if isinstance(module, (*WEIGHTED, *ACTIVATIONS, nn.Embedding, Residual)) or norm:
        module.output_quantizer = ActivationQuantizer(config)
        module.register_forward_hook(_round_output)


def _round_input(
    module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    name = None if given else next(iter(named))
    x = given[0] if name is None else named[name]
    if isinstance(x, Hashed):  # codes, no numbers
        return given, named
    rounded = module.input_quantizer(x)  # type: ignore[operator]
    if name is None:
        return (rounded, *given[1:]), named
    return given, {**named, name: rounded}


def _round_output(module: nn.Module, given: Any, output: Tensor) -> Tensor:
    rounded: Tensor = module.output_quantizer(output)  # type: ignore[operator]
    return rounded


def _round_weight(module: nn.Module, config: QuantizationConfig) -> None:
    """Round a weight, but not for others: a tied one may belong to a head, which stays in float.

    A weight goes into a parameter of its own; rows of an embedding are rounded when they are looked up.
    """
    if isinstance(module, nn.Embedding):
        scale = weight_scale(module.weight, config.weight_bits, config.weight_range)
        module.register_buffer("row_scale", scale)
        low, high = _weight_grid(module.weight, config.weight_bits)

        def round_rows(embedding: nn.Module, given: Any, rows: Tensor) -> Tensor:
            return _on_grid(rows, embedding.row_scale, low, high)  # type: ignore[arg-type]

        module.register_forward_hook(round_rows, prepend=True)
        return
    if not isinstance(module, WEIGHTED):
        return
    name = "table" if isinstance(module, MemoryLayer) else "weight"
    weight = getattr(module, name)
    rounded = fake_quantize_weight(weight, config.weight_bits, config.weight_range)
    setattr(module, name, nn.Parameter(rounded, requires_grad=False))
