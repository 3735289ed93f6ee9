"""What stands in the ``config.json`` of a run of the suite (`stanhop_app.training.schema`)."""

from typing import Annotated

from pydantic import Field

from stanhop_app.suite.config import SuiteConfig
from stanhop_app.training.schema_parts import Digest, Finite, Part


class SuiteFile(Part):
    """``config.json`` of a run of the suite."""

    suite: SuiteConfig
    data_sha256: Digest
    sizes: dict[str, Annotated[int, Field(ge=1, le=10**7)] | None]
    metrics: dict[str, Finite]
    history: list[dict[str, Finite]]
    steps: dict[str, list[Finite]]
    weights_sha256: Digest
    tokenizer_sha256: Digest | None
