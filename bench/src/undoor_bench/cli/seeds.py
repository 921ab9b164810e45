"""The command `undoor-bench seeds`: how verdicts depend on the seed."""

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

SCHEMA = "undoor/bench-seeds/1"


@command(
    app,
    examples=[
        "undoor-bench seeds zoo/ --data data/ --out seeds/ --seeds 10 --only badnets --only clean",
        "undoor-bench seeds zoo/ --data data/ --out seeds/ --same-images --repeat",
    ],
    exit_codes="0 all models were scanned, 4 the same seed gave something else, too",
)
def seeds(
    zoo: Zoo,
    data: Data,
    out: RecordsOut,
    seeds: Annotated[int, typer.Option(help="Scan with the seeds 0 to N-1.", min=1)] = 5,
    only: Only = None,
    images: Annotated[int, typer.Option(help="Clean images per class.", min=1)] = 30,
    same_images: Annotated[
        bool, typer.Option("--same-images", help="Draw the images with seed 0 for every scan.")
    ] = False,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Scan with seed 0 twice and compare the reports.")
    ] = False,
    held_out: HeldOut = False,
    trust_code: TrustCode = False,
) -> CommandResult:
    """Scan the same models with several seeds, and count how often the verdict is another.

    A seed draws the clean images and is that of the scan; with --same-images the scan's alone
    changes. Reports of the same seed are compared to the last digit, apart from the seconds.

    Writes seeds.md and seeds.csv (a line a scan), with --same-images seeds_same_images.md and
    .csv; scans that are there are not repeated.
    """
    from undoor_bench import tables
    from undoor_bench.amount import Amount
    from undoor_bench.records import Setting, flat_with_setting, recorded_scans
    from undoor_bench.seeds import HEADER, cells, markdown, overall, stability

    models = chosen(zoo, only, held_out=held_out, trust_code=trust_code)
    amount = Amount(images)
    settings = [Setting(amount, 0 if same_images else seed, seed) for seed in range(seeds)]
    with bars() as progress:
        records = recorded_scans(models, settings, data, out, progress=progress)
        first = settings[:1] if repeat else []
        twice = recorded_scans(models, first, data, out / "again", progress=progress)
    again = {
        record["model"]: (once, record)
        for once, record in zip(records[:: len(settings)], twice, strict=False)
    }
    rows = stability(records, again)
    name = "seeds_same_images" if same_images else "seeds"
    lines = [flat_with_setting(record) for record in records]
    tables.save(out / name, markdown(rows), lines)

    def show(console: Console) -> None:
        console.print(rich_table(HEADER, map(cells, rows)))
        for line in overall(rows):
            console.print(line)

    differs = any(row.differences for row in rows)
    document = {
        "schema": SCHEMA,
        "models": records,
        "again": twice,
        "differences": {row.model: row.differences for row in rows},
    }
    return CommandResult(ExitCode.FAILURE if differs else ExitCode.CLEAN, document, show)
