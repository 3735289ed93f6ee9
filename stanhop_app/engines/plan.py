"""What a job over many series will do, block by block: written before it begins, so that it can go on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from stanhop_app.engines.source import ParquetSource
from stanhop_app.errors import ArtefactError, DataError, OptionError
from stanhop_app.forecasting.outlook.rolling import AT_ONCE
from stanhop_app.training.folder import checksum
from stanhop_app.training.schema_parts import Part

PLAN = "_plan.json"
"""Name of the file in the folder of the results; what reads folders of Parquet leaves it out."""
FORMAT, VERSION = "stanhop_forecasts", 1
MOST_IDS = 10_000_000


class Block(Part):
    """Series that are forecast together, and the row groups that hold their rows."""

    ids: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=10_000)]], Field()
    ]
    groups: list[Annotated[int, Field(ge=0, le=2**31)]]


class PlanFile(Part):
    """``_plan.json``."""

    format: Literal["stanhop_forecasts"]
    version: Literal[1]
    made_from: dict[str, Any]
    blocks: Annotated[list[Block], Field(min_length=1)]
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Plan:
    """Blocks in order, and what they are made from."""

    made_from: Mapping[str, Any]
    """The run, the files and what was asked; JSON values. Another one is another job."""
    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls, source: ParquetSource, column: str, made_from: Mapping[str, Any], block_series: int
    ) -> "Plan":
        """Look through the ids of a table once, and cut them into blocks, as they come first.

        Series are forecast in passes of `AT_ONCE`, counted from the first of the table, and blocks hold whole
        passes: the same series meet in the same matrix products, however many blocks and workers there are,
        as in one process. That is what makes results equal to the bit.

        Raises:
            DataError: if there is no row, a row names no series, or there are too many series.
        """
        places: dict[str, int] = {}
        groups: list[dict[int, None]] = []  # of every pass, in order
        for number, names in source.ids(column):
            for name in names:
                place = places.setdefault(name, len(places))
                if place // AT_ONCE == len(groups):
                    groups.append({})
                groups[place // AT_ONCE][number] = None
            if len(places) > MOST_IDS:
                raise DataError(
                    f"{source.path}: has more than {MOST_IDS:,} series; bring it in parts."
                )
        if not places:
            raise DataError(f"{source.path}: has no rows.")
        ids, passes = list(places), -(-block_series // AT_ONCE)
        blocks = []
        for first in range(0, len(groups), passes):
            some = groups[first : first + passes]
            blocks.append(
                Block(
                    ids=ids[first * AT_ONCE : (first + passes) * AT_ONCE],
                    groups=sorted({number for pass_ in some for number in pass_}),
                )
            )
        return cls(made_from, tuple(blocks))

    @property
    def num_series(self) -> int:
        """Series of all blocks."""
        return sum(len(block.ids) for block in self.blocks)

    def as_json(self) -> dict[str, Any]:
        """What `read` takes; JSON values."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "made_from": dict(self.made_from),
            "blocks": [block.model_dump() for block in self.blocks],
        }
        return {**content, "sha256": checksum(content)}

    @property
    def sha256(self) -> str:
        """What tells this job from others; every result carries it."""
        return str(self.as_json()["sha256"])

    @classmethod
    def read(cls, content: bytes, name: str) -> Self:
        """The plan of a file.

        Raises:
            ArtefactError: if it is damaged, or no plan.
        """
        try:
            told = PlanFile.model_validate_json(content, strict=True)
            plan = cls(told.made_from, tuple(told.blocks))
            if plan.sha256 != told.sha256:
                raise OptionError("its checksum does not match its content")
        except (ValueError, TypeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ArtefactError(f"{name}: damaged ({reason}).") from None
        return plan
