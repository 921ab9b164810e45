"""The command `undoor-bench detect`: what scans find in the models of the zoo."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import (
    Data,
    HeldOut,
    Only,
    RecordsOut,
    TrustCode,
    Zoo,
    chosen,
    rich_table,
)

SCHEMA = "undoor/bench-detect/2"


@command(
    app,
    examples=[
        "undoor-bench detect zoo/ --data data/ --out detect/",
        "undoor-bench detect zoo/ --data data/ --out detect/ --only wanet --images 10",
    ],
    exit_codes="0 all models were scanned",
)
def detect(
    zoo: Zoo,
    data: Data,
    out: RecordsOut,
    only: Only = None,
    images: Annotated[int, typer.Option(help="Clean images per class.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="Of the images drawn and of the scan.")] = 0,
    held_out: HeldOut = False,
    trust_code: TrustCode = False,
) -> CommandResult:
    """Scan models whose backdoors are known, and count detections and false alarms.

    Writes detect.md, detect.csv (a line a model) and detect.svg.
    """
    from undoor_bench import tables
    from undoor_bench.detect.plot import detect_plot
    from undoor_bench.detect.scans import HEADER, cells, markdown, scan_subject, summary
    from undoor_bench.records import flat

    models = chosen(zoo, only, held_out=held_out, trust_code=trust_code)
    records = []
    with bars() as progress:
        for done, subject in enumerate(models):
            progress("models", done, len(models))
            records.append(
                scan_subject(subject, data, out, per_class=images, seed=seed, progress=progress)
            )
        progress("models", len(models), len(models))
    rows = summary(records)
    lines = [flat(record) for record in records]
    tables.save(out / "detect", markdown(rows), lines, detect_plot(rows))

    def show(console: Console) -> None:
        console.print(rich_table(HEADER, map(cells, rows)))

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": records}, show)
