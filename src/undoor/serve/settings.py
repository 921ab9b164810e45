"""How a service is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from undoor.errors import UsageError
from undoor.serve.limits import Limits


@dataclass(frozen=True)
class Settings:
    """How a service is run, whatever the model.

    Attributes
    ----------
    database
        The URL of the database that all workers share.
    keep
        How many flagged inputs are kept, the newest; 0 for none.
    limits
        Of each worker.
    tokens
        A file of bearer tokens, one of which every request must bring; None asks for none.
    access_log
        Whether each request is logged.
    fleet
        The URL of a database, or a Parquet file, that `undoor fleet --store` wrote, whose models
        are shown; None shows none.
    traces
        Whether OpenTelemetry traces are sent, as its environment variables say.
    """

    database: str
    keep: int = 0
    limits: Limits = field(default_factory=Limits)
    tokens: Path | None = None
    fleet: str | None = None
    access_log: bool = False
    traces: bool = False

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise UsageError(
                f"expected a number of flagged inputs to keep of at least 0, got {self.keep}"
            )
