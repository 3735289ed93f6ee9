"""What a run is made with, besides the network and its training. Nothing here needs torch."""

from dataclasses import dataclass
from typing import get_args

from stanhop_app.options import check, option
from stanhop_app.training.config import FinalKind, MemoryKind

EXPORTS = {"onnx": "model.onnx", "onnx-int8": "model.onnx", "torch-export": "model.pt2"}
"""Kinds of exports, and the file that holds the network."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How the rows of a table are used, and what a run folder keeps."""

    split: str = option(
        "14/5/5",
        "Training, validation and test rows in time order: a ratio A/B/C, or etth (8640/2880/2880 rows).",
    )
    season: int | None = option(
        None,
        "Steps of a season, of seasonal naive and MASE. Default: from the frequency.",
        least=1,
    )
    final: FinalKind = option(
        "linear",
        "What is fitted again on all rows after the scores, to forecast the real future.",
        choices=get_args(FinalKind),
    )
    memory: MemoryKind = option(
        "none",
        "External memory: correct forecasts by what was missed of past windows like theirs.",
        choices=get_args(MemoryKind),
    )
    calendar_features: bool = option(
        False,
        "Try cycles of day, week and year as covariates; kept where validation says so.",
        flags=("--calendar-features", ""),
    )
    holidays: str | None = option(
        None,
        "Country whose public holidays are known ahead, such as AT or US-NY (stanhop-app[holidays]).",
    )
    outlier_steps: int | None = option(
        None,
        "Steps between measurements of outliers, kept in RUN/outliers.csv. Default: none.",
        least=1,
    )
    novelty: bool = option(
        False,
        "Keep what stanhop forecast --explain needs: activations of training windows.",
        flags=("--novelty", ""),
    )
    name: str | None = option(
        None, "What a table from standard input is called, in messages, titles and the run."
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What a run is exported to."""

    to: str = option("onnx", "Kind of export.", choices=tuple(EXPORTS))

    def __post_init__(self) -> None:
        check(self)
