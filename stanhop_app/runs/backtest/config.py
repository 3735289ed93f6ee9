"""Options of a backtest, declared once. Nothing here needs torch."""

from dataclasses import dataclass

from stanhop_app.options import check, option


@dataclass(frozen=True, kw_only=True)
class BacktestConfig:
    """Which cut-offs, and what is done anew on the way."""

    origins: int | None = option(
        None, "Cut-offs, the latest ones; all of the test part if left out.", least=1
    )
    stride: int | None = option(
        None, "Rows from one cut-off to the next; the horizon if left out.", least=1
    )
    update: bool = option(
        True,
        "Also forecast with what came since: linear part, memory and intervals follow.",
    )
    refit: int = option(
        0, "Also train anew on all rows at every so many cut-offs; 0: never.", least=0
    )

    def __post_init__(self) -> None:
        check(self)
