"""The command `undoor-bench cost`: seconds of a scan against those of mask inversion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Data, Only, TrustCode, Zoo, chosen, rich_table

SCHEMA = "undoor/bench-cost/1"
Out = Annotated[
    Path,
    typer.Option(
        help="Folder that gets a record a model; tables and plot are of all records in it.",
        metavar="DIR",
    ),
]
Classes = Annotated[
    int | None,
    typer.Option(help="Invert masks of so many classes and extrapolate; else of all.", min=1),
]
ClassSeconds = Annotated[
    float | None, typer.Option(help="Cut a class off after so many seconds.", min=0)
]
ClassPasses = Annotated[
    int | None, typer.Option(help="Cut a class off after so many sample passes.", min=1)
]


@command(
    app,
    examples=[
        "undoor-bench cost zoo/ --data data/ --out cost/ --only mnist",
        "undoor-bench cost zoo/ --data data/ --out cost/ --only gtsrb --images 10 --classes 5",
    ],
    exit_codes="0 all models were measured",
)
def cost(
    zoo: Zoo,
    data: Data,
    out: Out,
    only: Only = None,
    images: Annotated[int, typer.Option(help="Clean images per class.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="Of images, scan, masks and the classes drawn.")] = 0,
    classes: Classes = None,
    class_seconds: ClassSeconds = None,
    class_passes: ClassPasses = None,
    trust_code: TrustCode = False,
) -> CommandResult:
    """Measure what a scan costs beside mask inversion (Neural Cleanse), class after class."""
    from undoor.scan import Budget
    from undoor_bench.cost.measure import measure_cost, read_records
    from undoor_bench.cost.table import HEADER, cells

    models = chosen(zoo, only, held_out=False, trust_code=trust_code)
    cap = Budget(passes=class_passes, seconds=class_seconds)
    with bars() as progress:
        for done, subject in enumerate(models):
            progress("models", done, len(models))
            measure_cost(
                subject,
                data,
                out,
                per_class=images,
                seed=seed,
                classes=classes,
                cap=cap,
                progress=progress,
            )
        progress("models", len(models), len(models))
    records = read_records(out)
    _write(records, out)

    def show(console: Console) -> None:
        console.print(rich_table(_narrow(HEADER), map(_narrow, map(cells, records))))

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": records}, show)


def _narrow(cells: Sequence[str]) -> list[str]:
    """Return the main columns of the table for a terminal; the rest is in the files."""
    model, classes, _, passes, _, _, _, rival, _, _, measured, ratio = cells
    return [model, classes, passes, rival, measured, ratio]


def _write(records: list[dict[str, object]], out: Path) -> None:
    """Write cost.md, cost.csv and cost.svg."""
    from undoor_bench import tables
    from undoor_bench.cost.plot import cost_plot
    from undoor_bench.cost.table import flat, report

    lines = [flat(record) for record in records]
    tables.save(out / "cost", report(records), lines, cost_plot(records))
