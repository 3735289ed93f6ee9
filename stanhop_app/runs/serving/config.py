"""Options of a server, declared once. Nothing here needs torch."""

from dataclasses import dataclass

from stanhop_app.options import check, option


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """How a server listens, and what it takes."""

    host: str = option("127.0.0.1", "Address to listen on; by default this machine alone can ask.")
    port: int = option(8808, "Port to listen on.", least=1, most=65535)
    max_request: int = option(
        16, "Megabytes that a request may have; more is refused.", least=1, most=2**12
    )
    waiting: int = option(
        1000, "Requests that may wait at once; more are told to come again.", least=1
    )

    def __post_init__(self) -> None:
        check(self)
