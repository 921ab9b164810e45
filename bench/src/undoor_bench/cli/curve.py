"""The command `undoor-bench curve`: what scans find with fewer and fewer clean images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import (
    Amounts,
    Data,
    HeldOut,
    Only,
    RecordsOut,
    TrustCode,
    Zoo,
    chosen,
    rich_table,
)

SCHEMA = "undoor/bench-curve/1"


@command(
    app,
    examples=[
        "undoor-bench curve zoo/ --data data/ --out curve/",
        "undoor-bench curve zoo/ --data data/ --out curve/ --only clean --only wanet "
        "--images 1,10,0.1%",
    ],
    exit_codes="0 all models were scanned with all amounts",
)
def curve(
    zoo: Zoo,
    data: Data,
    out: RecordsOut,
    only: Only = None,
    images: Amounts = "1,2,0.1%,5,10,30,100",
    seed: Annotated[int, typer.Option(help="Of the images drawn and of the scan.")] = 0,
    held_out: HeldOut = False,
    trust_code: TrustCode = False,
) -> CommandResult:
    """Scan models whose backdoors are known with more and more clean images, and count.

    Test images are drawn, and a smaller amount is part of every larger one. A share of the
    training set is spread evenly over the classes: 0.1 % of the 45,000 of CIFAR-10 are 45 images,
    4 or 5 a class; no class goes without, so that the 39 of GTSRB become 43. Of a class with fewer
    images than asked for, all are taken.

    Writes curve.md, curve.csv (a line a scan) and curve.svg; scans that are there are not repeated.
    """
    from undoor_bench import tables
    from undoor_bench.amount import read_amounts
    from undoor_bench.curve.plot import curve_plot
    from undoor_bench.curve.points import HEADER, cells, markdown
    from undoor_bench.curve.points import curve as points_of
    from undoor_bench.records import Setting, flat_with_setting, recorded_scans

    settings = [Setting(amount, seed, seed) for amount in read_amounts(images)]
    models = chosen(zoo, only, held_out=held_out, trust_code=trust_code)
    with bars() as progress:
        records = recorded_scans(models, settings, data, out, progress=progress)
    points = points_of(records)
    lines = [flat_with_setting(record) for record in records]
    tables.save(out / "curve", markdown(points), lines, curve_plot(points))

    def show(console: Console) -> None:
        lines = (cells(point) for point in points)
        console.print(rich_table(_narrow(HEADER), map(_narrow, lines)))

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": records}, show)


def _narrow(cells: Sequence[str]) -> list[str]:
    """Return the main columns of the table for a terminal; the rest is in the files."""
    amount, data, images, _, right, called, _, false_alarms, *_ = cells
    return [amount, data, images, right, called, false_alarms]
