"""The command `undoor-bench calibrate`: fit the nulls of trigger families on clean models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor_bench.cli.app import app

SCHEMA = "undoor/bench-calibrate/1"


@command(
    app,
    examples=[
        "undoor-bench calibrate bench/results/evidence.jsonl --table zoo/table.toml "
        "--table zoo/kinds.toml --out calibration.toml",
    ],
    exit_codes="0 done",
)
def calibrate(
    evidence: Annotated[
        Path, typer.Argument(help="File that `undoor-bench evidence` wrote.", metavar="FILE")
    ],
    table: Annotated[
        list[Path],
        typer.Option(help="Table of a zoo, which says what to learn from; can be repeated."),
    ],
    out: Annotated[Path, typer.Option(help="TOML file to write.", metavar="FILE")],
    plot: Annotated[
        Path | None,
        typer.Option(help="SVG to draw of how rare each clean model is.", metavar="FILE"),
    ] = None,
) -> CommandResult:
    """Learn from models of zoos how small, and how clear, natural triggers are."""
    from undoor.errors import UndoorError
    from undoor.families.calibration import fitted_nulls
    from undoor.families.registry import find_family
    from undoor.files import write_text
    from undoor_bench.evidence import read_evidence
    from undoor_bench.nulls.fitting import as_toml, fit_agreement, fit_nulls
    from undoor_bench.nulls.lowest import fit_lowest, lowest_combinations
    from undoor_bench.nulls.plot import null_plot
    from undoor_bench.zoo.entries import read_table

    half = {entry.name for file in table for entry in read_table(file) if entry.calibrate}
    found = [record for record in read_evidence(evidence) if record["model"] in half]
    if not found:
        raise UndoorError(f"{evidence}: expected models that a table calibrates on, got none")
    nulls = fit_nulls(found)
    agreed, combinations = fit_agreement(found, nulls), lowest_combinations(found)
    lowest = fit_lowest(list(combinations.values()))
    # Those that these scans did not search, as families for tables.
    unsearched = {name: null for name, null in fitted_nulls().items() if find_family(name)}
    models = [record["model"] for record in found]
    write_text(out, as_toml(unsearched | nulls, agreed, lowest, models))
    if plot is not None:
        write_text(plot, null_plot(combinations, lowest))

    def show(console: Console) -> None:
        rows = Table("family", "natural", "location", "scale", "weight")
        for family, null in nulls.items():
            fitted = (f"{v:.2f}" for v in (null.location, null.scale, null.weight))
            rows.add_row(family, f"{null.natural:.3g}", *fitted)
        rows.add_row("all together", "", f"{agreed.location:.2f}", f"{agreed.scale:.2f}", "")
        console.print(rows)

    values = {family: vars(null) for family, null in nulls.items()}
    fitted = {"nulls": values, "agreement": vars(agreed), "lowest": vars(lowest)}
    document = {"schema": SCHEMA, **fitted}
    return CommandResult(ExitCode.CLEAN, document, show)
