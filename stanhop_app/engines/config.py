"""Options of engines, declared once. Nothing here needs torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from stanhop_app.options import check, option

EngineKind = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Where blocks of series are forecast, and how large they are."""

    engine: EngineKind | None = option(
        None,
        "Forecast Parquet of any size block by block, in processes of this machine or by Ray "
        "(stanhop-app[ray]); DATA and --output may be folders or URLs then.",
        choices=get_args(EngineKind),
    )
    workers: int = option(1, "Processes of the engine; each loads the model once.", least=1)
    block_series: int = option(
        1024,
        "Series in one block of the engine, rounded up to passes of 256; results do not depend on it.",
        least=1,
    )

    def __post_init__(self) -> None:
        check(self)
