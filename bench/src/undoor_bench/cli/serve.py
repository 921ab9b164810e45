"""The command `undoor-bench serve`: what a guarded service costs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli import pipeline
from undoor.cli.command import CommandResult, command
from undoor.cli.data_options import DataOptions
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.named_repair import RepairPath
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import RecordsOut, rich_table

SCHEMA = "undoor/bench-serve/2"


@command(
    app,
    examples=[
        "undoor-bench serve model.toml --data clean/ --repair fix/ --out serve/",
        "undoor-bench serve model.toml --data clean/ --repair fix/ --out serve/ --seconds 2",
    ],
    exit_codes="0 everything was measured",
)
def serve(
    model: ModelOptions,
    data: DataOptions,
    repair: RepairPath,
    out: RecordsOut,
    seconds: Annotated[float, typer.Option(help="Per round.")] = 5.0,
    rounds: Annotated[int, typer.Option(help="Rounds, guarded and bare in turns.")] = 3,
    connections: Annotated[int, typer.Option(help="Clients that wait for their answer.")] = 32,
    overload_seconds: Annotated[float, typer.Option(help="Of ten times the capacity.")] = 60.0,
    workers: Annotated[int, typer.Option(help="Of each service.")] = 1,
    threads: Annotated[int, typer.Option(help="That compute, per worker.")] = 1,
) -> CommandResult:
    """Measure a guarded service (exported to ONNX) beside the same service with the bare model.

    Its inputs are clean images of the data, and these with the recovered triggers.
    Requests per second as ratios of rounds in turns, latencies at 80 % of the capacity, and ten
    times the capacity: what is answered, what is refused, and the memory. The client shares the
    machine with the services.
    """
    for library in ("fastapi", "onnxruntime", "onnxscript"):
        pipeline.require_library(library)
    from undoor_bench.service.measure import Plan, measure, rows

    plan = Plan(
        seconds=seconds,
        rounds=rounds,
        connections=connections,
        overload_seconds=overload_seconds,
        workers=workers,
        threads=threads,
    )
    classifier = model.load()
    fix = pipeline.read_repair(repair, classifier)
    clean = data.read(classifier, several_classes=False).images
    with tempfile.TemporaryDirectory(prefix="undoor-bench-") as folder, bars() as progress:
        record = measure(classifier, fix, clean, Path(folder), plan, progress)
    document = {"schema": SCHEMA, **record}
    out.mkdir(parents=True, exist_ok=True)
    (out / "serve.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def show(console: Console) -> None:
        console.print(rich_table(("what", "measured"), rows(record)))

    return CommandResult(ExitCode.CLEAN, document, show)
