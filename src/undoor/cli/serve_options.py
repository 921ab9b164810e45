"""Options of a service: where it listens, what it may take, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undoor.errors import UsageError

if TYPE_CHECKING:
    from undoor.serve.limits import Limits

LISTEN, LIMITS, KEEP = "Listen", "Limits (of each worker)", "Keep and log"
MIB = 2**20


@dataclass(frozen=True)
class ListenOptions:
    """Options that say where a service listens."""

    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 for all.", metavar="HOST", rich_help_panel=LISTEN
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(help="Port; 0 takes a free one.", metavar="N", rich_help_panel=LISTEN)
    ] = 8000
    workers: Annotated[
        int,
        typer.Option(
            help="Processes, each with a copy of the model.", metavar="N", rich_help_panel=LISTEN
        ),
    ] = 1
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads that compute, per worker. Default: the cores, shared by the workers.",
            metavar="N",
            rich_help_panel=LISTEN,
        ),
    ] = None
    tokens: Annotated[
        Path | None,
        typer.Option(
            help="File with one bearer token per line; requests must bring one of them.",
            metavar="FILE",
            rich_help_panel=LISTEN,
        ),
    ] = None


@dataclass(frozen=True)
class LimitOptions:
    """Options that bound what requests take."""

    max_batch: Annotated[
        int,
        typer.Option(
            help="Inputs per batch, and per request.", metavar="N", rich_help_panel=LIMITS
        ),
    ] = 32
    max_delay_ms: Annotated[
        float,
        typer.Option(
            help="Milliseconds that an input waits for others to join its batch.",
            metavar="MS",
            rich_help_panel=LIMITS,
        ),
    ] = 2.0
    max_queue: Annotated[
        int,
        typer.Option(
            help="Inputs that may wait; further requests get 429.",
            metavar="N",
            rich_help_panel=LIMITS,
        ),
    ] = 256
    max_body: Annotated[
        float, typer.Option(help="MiB per request.", metavar="MIB", rich_help_panel=LIMITS)
    ] = 16.0
    max_pixels: Annotated[
        int,
        typer.Option(
            help="Pixels per picture, before it is resized.", metavar="N", rich_help_panel=LIMITS
        ),
    ] = 16_000_000
    max_seconds: Annotated[
        float,
        typer.Option(
            help="Seconds that a request may take to arrive, and to be answered.",
            metavar="S",
            rich_help_panel=LIMITS,
        ),
    ] = 30.0

    def limits(self) -> Limits:
        """Return the limits of each worker."""
        from undoor.serve.limits import Limits

        body = int(self.max_body * MIB)
        return Limits(
            body=body,
            bodies=max(16 * body, 256 * MIB),
            pixels=self.max_pixels,
            batch=self.max_batch,
            delay=self.max_delay_ms / 1000,
            queue=self.max_queue,
            seconds=self.max_seconds,
        )


@dataclass(frozen=True)
class KeepOptions:
    """Options that say what a service keeps and logs."""

    keep_flagged: Annotated[
        int,
        typer.Option(
            help="Keep the N newest flagged inputs in the database, for `undoor adapt` and for "
            "people.",
            metavar="N",
            rich_help_panel=KEEP,
        ),
    ] = 0
    database: Annotated[
        str | None,
        typer.Option(
            help="Where counts, alarms and flagged inputs are kept: sqlite:///FILE or "
            "postgresql://USER@HOST/NAME. Default: undoor-serve.sqlite in this folder with "
            "--keep-flagged, otherwise nothing outlasts the service.",
            metavar="URL",
            rich_help_panel=KEEP,
        ),
    ] = None
    fleet: Annotated[
        str | None,
        typer.Option(
            help="Show the models of a fleet at /fleet: what `undoor fleet --store` wrote, "
            "sqlite:///FILE, postgresql://USER@HOST/NAME or a .parquet file.",
            metavar="WHERE",
            rich_help_panel=KEEP,
        ),
    ] = None
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log every request.", rich_help_panel=KEEP)
    ] = False
    traces: Annotated[
        bool,
        typer.Option(
            "--traces",
            help="Send OpenTelemetry traces; OTEL_EXPORTER_OTLP_ENDPOINT says where to.",
            rich_help_panel=KEEP,
        ),
    ] = False

    def url(self, temporary: Path) -> str:
        """Return the URL of the database; one in `temporary` where nothing is to be kept."""
        if self.database is not None:
            return self.database
        if self.keep_flagged < 0:
            raise UsageError(f"--keep-flagged: expected at least 0, got {self.keep_flagged}")
        return f"sqlite:///{(Path() if self.keep_flagged else temporary) / 'undoor-serve.sqlite'}"
