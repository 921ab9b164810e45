"""The command `undoor-bench mitigate`: repairs and rivals on backdoored models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

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
    TrustCode,
    Zoo,
    chosen,
    rich_table,
)

SCHEMA = "undoor/bench-mitigate/1"
Out = Annotated[
    Path,
    typer.Option(
        help="Folder that gets a record a measurement and the scans; tables and plot are of all "
        "records in it.",
        metavar="DIR",
    ),
]
Methods = Annotated[
    str,
    typer.Option(
        help="With commas: methods, groups of them (all, ours, rivals, test_time, ablations), or "
        "the default fit with one plan ('plan: per position to 8').",
        metavar="LIST",
    ),
]


@command(
    app,
    examples=[
        "undoor-bench mitigate zoo/ --data data/ --out mitigate/ --only mnist --images 10",
        "undoor-bench mitigate zoo/ --data data/ --out mitigate/ --methods onepass,nad,strip",
        "undoor-bench mitigate zoo/ --data data/ --out mitigate/ --methods 'plan: per channel'",
    ],
    exit_codes="0 all was measured or is recorded as impossible",
)
def mitigate(
    zoo: Zoo,
    data: Data,
    out: Out,
    only: Only = None,
    methods: Methods = "all",
    images: Amounts = "10,100",
    seed: Annotated[int, typer.Option(help="Of images, scan and methods.")] = 0,
    held_out: HeldOut = False,
    trust_code: TrustCode = False,
) -> CommandResult:
    """Close known backdoors by this project's repair and by its rivals, and measure what is left.

    Of the models, those whose backdoor took. Methods get the model and clean images; those that
    need a scan share one. Measured on other images, with the true trigger. true_trigger is an
    oracle, which knows the trigger.

    Writes mitigate.md, mitigate.csv (a line a record) and mitigate.svg; what is there is not
    measured again.
    """
    from undoor.errors import UndoorError
    from undoor_bench.amount import read_amounts
    from undoor_bench.mitigate.methods import read_methods
    from undoor_bench.mitigate.run import mitigate as measure
    from undoor_bench.mitigate.run import read_records
    from undoor_bench.mitigate.table import AVERAGE, HEADER, cells, summary
    from undoor_bench.records import Setting

    wanted = read_methods(methods)
    settings = [Setting(amount, seed, seed) for amount in read_amounts(images)]
    known = chosen(zoo, only, held_out=held_out, trust_code=trust_code)
    models = [subject for subject in known if subject.targets and subject.took]
    if not models:
        raise UndoorError(f"{zoo}: expected a model whose backdoor took, got none; see --only")
    with bars() as progress:
        measure(models, wanted, settings, data, out, progress=progress)
    records = read_records(out)
    _write(records, out)

    def show(console: Console) -> None:
        rows = [row for row in summary(records) if row.attack == AVERAGE]
        for amount in dict.fromkeys(row.amount for row in rows):
            lines = (cells(row) for row in rows if row.amount == amount)
            table = rich_table(_narrow(HEADER), map(_narrow, lines))
            table.title = f"{AVERAGE}, {amount} ({out / 'mitigate.md'} has more)"
            console.print(table)

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "records": records}, show)


def _narrow(cells: Sequence[str]) -> list[str]:
    """Return the main columns of the table for a terminal; the rest is in the files."""
    _, name, models, _, _, acc, asr, sia, _, tpr, *_ = cells
    return [name, models, acc, asr, sia, tpr]


def _write(records: list[dict[str, Any]], out: Path) -> None:
    """Write mitigate.md, mitigate.csv and mitigate.svg."""
    from undoor_bench import tables
    from undoor_bench.mitigate.plot import mitigate_plot
    from undoor_bench.mitigate.table import flat, markdown, summary

    lines = [flat(record) for record in records]
    tables.save(out / "mitigate", markdown(records), lines, mitigate_plot(summary(records)))
