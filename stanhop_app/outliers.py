"""Outliers of activations: what every module of a network puts out, measured in one pass.

Kurtosis and maximum infinity norm are those of the outlier-efficient Hopfield paper and of the code
that it builds on. Every result carries the set of modules that it was taken over: the papers' numbers of
different models were taken over different sets, so that a number without its set says nothing.

Shape letters: N sequences, S steps, D channels, H heads, L queries.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stanhop_app.errors import OptionError, TrainingError
from stanhop_app.layers.memory import MemoryBlock
from stanhop_app.layers.names import MODULE_SETS
from stanhop_app.layers.observe import Watcher, hooked
from stanhop_app.layers.retrieval import Retrieval, associate

ROOT = "(model)"
"""What the whole model is called."""
QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999)
TOP = 5
FEED = re.compile(r"(^|[._])(feed|feed_forward|ffn|mlp|fc2|(?<!attention\.)output\.dense)$")
LAYER = re.compile(r"(^|\.)(blocks|layers|layer|readers|h)\.\d+$")
FEED_NORM = re.compile(r"(^|[._])feed_norm$|(?<!attention\.)output\.LayerNorm$")
ALL, FFN_NORM, FFN_ITS_NORM, LAYER_OUTPUTS = MODULE_SETS
PRESETS: dict[str, Callable[[str, nn.Module], bool]] = {
    ALL: lambda name, module: True,
    FFN_NORM: lambda name, module: (
        bool(FEED.search(name))
        or isinstance(module, MemoryBlock)
        or type(module).__name__.endswith("Norm")
    ),
    FFN_ITS_NORM: lambda name, module: (
        bool(FEED.search(name) or FEED_NORM.search(name)) or isinstance(module, MemoryBlock)
    ),
    LAYER_OUTPUTS: lambda name, module: bool(LAYER.search(name)),
}
"""Sets of modules, by name. "all": every module that puts out a tensor, containers and the model too, as
the papers' code hooks STanHop. "ffn+norm": feed-forward networks and every normalisation. "ffn+its-norm":
feed-forward networks and the normalisation of each, which in BERT comes after it: two modules a layer, as
table 1 of the outlier-efficient paper counts BERT (norms after attention, embedding and head are not in it).
"layer-outputs": whole blocks, the set that the paper's figures for OPT agree with. Which set the paper's
table shows for STanHop is not known."""
Modules = str | Sequence[str]
Batch = Tensor | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModuleOutliers:
    """What one module put out, over all sequences."""

    module: str
    kind: str
    """Name of its class."""
    kurtosis: float
    """Mean over sequences of `kurtosis`."""
    max_inf_norm: float
    """Mean over sequences of ``max |x|``; the name is the papers'."""
    largest: float
    """``max |x|`` over everything."""
    sample: int | None
    """Number of the sample (window, sentence) that caused it; None if the leading dimension is none of
    samples."""
    sequences: int
    quantiles: dict[str, float]
    """Quantiles of |x| by level; within 6.25%, from the histogram."""
    top_channels: tuple[tuple[int, float], ...]
    """Channels (last dimension) with the largest mean over sequences of ``max |x|``, and those means."""
    top_steps: tuple[tuple[int, float], ...]
    """Steps (last dimension but one), the same."""
    no_op: float | None
    """Mean of what the weights of a row leave to 1, of retrievals; None for every other module. Rows that
    a mask leaves nothing to retrieve count as 1."""
    histogram: tuple[tuple[float, int], ...]
    """Left edges and counts of the bins of |x| that are not empty: sixteen an octave."""


@dataclass(frozen=True, kw_only=True)
class OutlierReport:
    """Outliers of a model's activations; the set of modules is part of it."""

    modules: str
    """The set: a preset or patterns."""
    samples: int
    rows: tuple[ModuleOutliers, ...]

    @property
    def average_kurtosis(self) -> float:
        """Unweighted mean over modules."""
        return sum(row.kurtosis for row in self.rows) / len(self.rows)

    @property
    def max_inf_norm(self) -> float:
        """Maximum over modules of the mean over sequences of ``max |x|``."""
        return max(row.max_inf_norm for row in self.rows)

    def restrict(self, names: Sequence[str], label: str) -> "OutlierReport":
        """The report of those modules alone that have one of these names.

        Raises:
            OptionError: if there is none.
        """
        rows = tuple(row for row in self.rows if row.module in set(names))
        if not rows:
            raise OptionError(f"the report over {self.modules!r} has no module of {label!r}.")
        return OutlierReport(modules=label, samples=self.samples, rows=rows)

    def table(self) -> pd.DataFrame:
        """One row a module, with its kurtosis, max_inf_norm and what caused them."""
        rows = [
            {
                "kind": row.kind,
                "kurtosis": row.kurtosis,
                "max_inf_norm": row.max_inf_norm,
                "largest": row.largest,
                "sample": row.sample,
                **{f"q{level}": value for level, value in row.quantiles.items()},
                "top_channel": row.top_channels[0][0] if row.top_channels else None,
                "top_step": row.top_steps[0][0] if row.top_steps else None,
                "no_op": row.no_op,
            }
            for row in self.rows
        ]
        index = pd.Index([row.module for row in self.rows], name="module")
        return pd.DataFrame(rows, index=index).astype(
            {"sample": "Int64", "top_channel": "Int64", "top_step": "Int64", "no_op": float}
        )

    def as_json(self) -> dict[str, Any]:
        """JSON values; `from_json` reads them."""
        return {
            "average_kurtosis": self.average_kurtosis,
            "max_inf_norm": self.max_inf_norm,
            **asdict(self),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "OutlierReport":
        """What `as_json` made."""
        pairs = ("top_channels", "top_steps", "histogram")
        rows = [
            ModuleOutliers(**{**row, **{name: tuple(map(tuple, row[name])) for name in pairs}})
            for row in content["rows"]
        ]
        return cls(modules=content["modules"], samples=content["samples"], rows=tuple(rows))


def kurtosis(x: Float[Tensor, "N ..."]) -> Float[Tensor, " N"]:
    """Kurtosis of every sequence, all its steps and channels together; 3 for a Gaussian.

    ``mean (x - mean x)^4 / (s^4 + 1e-6)`` with s the standard deviation *with* Bessel's correction: not quite
    the usual estimate, but that of the papers' code, whose numbers ours must be comparable with. A constant
    gives 0.

    References:
        Hu et al., arXiv 2404.03828, section 4; Bondarenko et al., arXiv 2306.12929, code.
    """
    flat = _single(x).flatten(1)
    # Divided by a number that changes nothing but lets fourth powers of large numbers exist.
    unit = flat.abs().amax(1, keepdim=True).clamp_min(1.0)
    flat = flat / unit
    square = (flat - flat.mean(1, keepdim=True)).square()
    variance = square.sum(1) / (flat.shape[1] - 1)
    return square.square().mean(1) / (variance.square() + 1e-6 / unit.squeeze(1) ** 4)


def _single(x: Tensor) -> Tensor:
    """Half precision as float32; what is wider stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def find_modules(model: nn.Module, modules: Modules) -> dict[str, nn.Module]:
    """The modules of a preset, or those whose names match one of some patterns (``*`` and ``?``).

    Raises:
        OptionError: if there is none; the message names some that there are.
    """
    every = model.named_modules(remove_duplicate=False)
    named = {name or ROOT: module for name, module in every if "quantizer" not in name}
    if isinstance(modules, str) and modules in PRESETS:
        matching = {n: m for n, m in named.items() if PRESETS[modules](n, m)}
    else:
        patterns = [modules] if isinstance(modules, str) else list(modules)
        matching = {n: m for n, m in named.items() if any(fnmatchcase(n, p) for p in patterns)}
    first = {id(module): name for name, module in reversed(matching.items())}
    matching = {name: module for name, module in matching.items() if first[id(module)] == name}
    if not matching:
        some = ", ".join(list(named)[:8])
        raise OptionError(
            f"no module matches {modules!r}; choose one of {', '.join(PRESETS)}, or patterns of "
            f"names such as: {some}."
        )
    return matching


def preset_outliers(report: OutlierReport, model: nn.Module) -> dict[str, dict[str, float]]:
    """The two metrics over every preset, from a report over all modules of the model."""
    metrics = {}
    for preset in PRESETS:
        part = report.restrict(list(find_modules(model, preset)), preset)
        metrics[preset] = {"kurtosis": part.average_kurtosis, "max_inf_norm": part.max_inf_norm}
    return metrics


@torch.no_grad()
def record(
    model: nn.Module, batches: Iterable[Batch], *, modules: Modules = "all"
) -> OutlierReport:
    """Run a model over batches and measure what its modules put out.

    Sums are kept, not activations: memory does not depend on the number of batches, and the result not on
    how samples are batched. The model is in evaluation mode meanwhile.

    A "sequence" is an entry of the leading dimension of an activation, as in the papers' code: in the
    forecaster that is one variate, or one patch, of a window. Of a tuple the first entry counts; what is no
    tensor of floats, or has one number per sequence, is left out.

    Args:
        model: any module.
        batches: what the model is called with: a tensor, a tuple of arguments or a mapping of them.
        modules: a preset or patterns of names (`find_modules`).

    Raises:
        OptionError: if no module matches, none of them puts out a tensor, or there is no batch.
        TrainingError: if an activation is not finite.
    """
    watched = find_modules(model, modules)
    sums: dict[str, _Sums] = {}
    samples = 0
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        for batch in batches:
            size = num_samples(batch)
            if size == 0:
                continue
            with hooked(_watchers(watched, sums, samples, size)):
                call(model, batch)
            samples += size
    finally:
        for module, mode in training.items():
            module.training = mode
    if samples == 0:
        raise OptionError("there is no batch to record.")
    rows = [
        sums[name].result(name, type(watched[name]).__name__) for name in watched if name in sums
    ]
    if not rows:
        raise OptionError(f"none of the modules {modules!r} puts out a tensor.")
    label = modules if isinstance(modules, str) else ", ".join(modules)
    return OutlierReport(modules=label, samples=samples, rows=tuple(rows))


def num_samples(batch: Batch) -> int:
    """Samples of a batch: the leading dimension of its first tensor.

    Raises:
        OptionError: if it holds none.
    """
    values = [batch] if isinstance(batch, Tensor) else batch
    values = list(values.values()) if isinstance(values, Mapping) else list(values)
    for value in values:
        if isinstance(value, Tensor) and value.ndim:
            return len(value)
    raise OptionError("a batch must hold a tensor whose leading dimension counts samples.")


def call(model: nn.Module, batch: Batch) -> None:
    """Call a model with a batch: a tensor, a tuple of arguments or a mapping of them."""
    if isinstance(batch, Tensor):
        model(batch)
    elif isinstance(batch, Mapping):
        model(**batch)
    else:
        model(*batch)


def _watchers(
    watched: Mapping[str, nn.Module], sums: dict[str, "_Sums"], first: int, size: int
) -> list[tuple[nn.Module, Watcher]]:
    """What measures the outputs of these modules."""

    def watcher(name: str) -> Watcher:
        def measure(module: nn.Module, given: Any, named: dict[str, Any], output: Any) -> None:
            if isinstance(output, tuple | list) and output:
                output = output[0]
            if not isinstance(output, Tensor) or not output.is_floating_point():
                return
            if output.ndim < 2 or output.numel() < 2 * len(output):
                return
            if name not in sums:
                sums[name] = _Sums()
            sums[name].add(name, output, first, size)
            if isinstance(module, Retrieval):
                sums[name].add_weights(given, named)

        return measure

    return [(module, watcher(name)) for name, module in watched.items()]


class _Sums:
    """Running sums of one module."""

    def __init__(self) -> None:
        self.sequences = 0
        self.kurtosis = self.norm = self.largest = 0.0
        self.sample: int | None = None
        self.channels = torch.zeros(0, dtype=torch.float64)
        self.steps = torch.zeros(0, dtype=torch.float64)
        self.bins = torch.zeros(_BINS, dtype=torch.int64)
        self.left, self.rows = 0.0, 0

    def add(self, name: str, x: Tensor, first: int, size: int) -> None:
        """One output, for ``size`` samples from number ``first`` on."""
        x = _single(x)
        size_of = x.abs()
        norms = size_of.flatten(1).amax(1)
        if not torch.isfinite(norms).all():
            raise TrainingError(
                f"{name} puts out values that are not finite; lower the learning rate or look for "
                "extreme values in the data."
            )
        self.kurtosis += kurtosis(x).cpu().double().sum().item()
        self.norm += norms.cpu().double().sum().item()
        row = int(norms.argmax())
        if norms[row].item() > self.largest or self.sequences == 0:
            self.largest = norms[row].item()
            # Samples come first in every leading dimension that holds more than samples.
            self.sample = first + row * size // len(x) if len(x) % size == 0 else None
        self.sequences += len(x)
        self.channels = _grow(
            self.channels, size_of.reshape(len(x), -1, x.shape[-1]).amax(1).cpu().double().sum(0)
        )
        if x.ndim > 2:
            dims = [d for d in range(1, x.ndim) if d != x.ndim - 2]
            self.steps = _grow(self.steps, size_of.amax(dims).cpu().double().sum(0))
        self.bins += _counts(size_of)

    def add_weights(self, given: Any, named: dict[str, Any]) -> None:
        """What the rows of weights of one retrieval leave to 1."""
        _, weights = associate(*given, **{**named, "return_weights": True, "dropout_p": 0.0})
        self.left += (1 - weights.float().sum(-1)).sum().item()
        self.rows += weights.shape[:-1].numel()

    def result(self, name: str, kind: str) -> ModuleOutliers:
        """What is known after all batches."""
        return ModuleOutliers(
            module=name,
            kind=kind,
            kurtosis=self.kurtosis / self.sequences,
            max_inf_norm=self.norm / self.sequences,
            largest=self.largest,
            sample=self.sample,
            sequences=self.sequences,
            quantiles={
                level: min(value, self.largest) for level, value in _quantiles(self.bins).items()
            },
            top_channels=_top(self.channels / self.sequences),
            top_steps=_top(self.steps / self.sequences),
            no_op=self.left / self.rows if self.rows else None,
            histogram=tuple(
                (_edge(i), int(self.bins[i])) for i in self.bins.nonzero().flatten().tolist()
            ),
        )


_SHIFT = 19  # of 23 bits of mantissa 4 are kept: 16 bins an octave
_BINS = 1 << (31 - _SHIFT)


def _counts(size_of: Tensor) -> Tensor:
    """Hits of every bin: a float's exponent and leading bits of mantissa, read as a number."""
    codes = size_of.detach().float().contiguous().view(torch.int32) >> _SHIFT
    return codes.flatten().cpu().bincount(minlength=_BINS)


def _edge(code: int) -> float:
    return torch.tensor(code << _SHIFT, dtype=torch.int32).view(torch.float32).item()


def _quantiles(bins: Tensor) -> dict[str, float]:
    """Quantiles of |x|, linear inside a bin."""
    ends = bins.cumsum(0)
    quantiles = {}
    for level in QUANTILES:
        wanted = level * int(ends[-1])
        code = int((ends >= wanted).nonzero()[0])
        before = int(ends[code] - bins[code])
        left, right = _edge(code), _edge(code + 1)
        quantiles[f"{level:g}"] = left + (right - left) * (wanted - before) / int(bins[code])
    return quantiles


def _grow(total: Tensor, more: Tensor) -> Tensor:
    """Sum of two vectors, the shorter continued with zeros."""
    longest = max(len(total), len(more))
    sums = torch.zeros(longest, dtype=torch.float64)
    sums[: len(total)] += total
    sums[: len(more)] += more
    return sums


def _top(values: Tensor) -> tuple[tuple[int, float], ...]:
    best = values.topk(min(TOP, len(values)))
    return tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
