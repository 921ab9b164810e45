"""The command `undoor-bench theory`: the theorem against networks that obey it."""

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
from undoor_bench.cli.group import rich_table

SCHEMA = "undoor/bench-theory/1"
Out = Annotated[Path, typer.Option(help="Folder that gets the tables.", metavar="DIR")]


@command(
    app,
    examples=[
        "undoor-bench theory --out theory/",
        "undoor-bench theory --out theory/ --seed 1 --samples 1000000",
    ],
    exit_codes="0 all was computed",
)
def theory(
    out: Out,
    seed: Annotated[int, typer.Option(help="Of the inputs and models drawn.")] = 0,
    samples: Annotated[int, typer.Option(help="Triggered inputs a point.", min=1)] = 20_000,
    models: Annotated[
        int, typer.Option(help="Models drawn at random to count trends in.", min=1)
    ] = 2_000,
) -> CommandResult:
    """Show the theorem behind the corrections: SIA as batch-norm statistics move to corrected ones.

    Two classes of Gaussian inputs, a trigger, and one hidden unit with batch norm, in closed form
    and by Monte Carlo through a network; with the variance that makes triggered activations look
    like clean ones, and with the one printed in the paper (arXiv 2308.09850), which lacks a square.

    Writes theory.md, theory.csv (a line a point) and theory.svg.
    """
    import torch

    from undoor_bench import tables
    from undoor_bench.theory.cases import named_models, random_models
    from undoor_bench.theory.plot import theory_plot
    from undoor_bench.theory.table import (
        HEADER,
        RANDOM_HEADER,
        cells,
        curves,
        lines,
        markdown,
        random_cells,
        trends,
    )

    generator = torch.Generator().manual_seed(seed)
    rows = trends(random_models(models, generator))
    with bars() as progress:
        found = curves(named_models(), samples=samples, generator=generator, progress=progress)
    tables.save(out / "theory", markdown(found, rows), lines(found), theory_plot(found))

    def show(console: Console) -> None:
        console.print(rich_table(HEADER, map(_narrow, map(cells, found))))
        console.print(rich_table(RANDOM_HEADER, map(random_cells, rows)))

    document = {
        "schema": SCHEMA,
        "seed": seed,
        "samples": samples,
        "curves": [curve.to_json() for curve in found],
        "random": [row.to_json() for row in rows],
    }
    return CommandResult(ExitCode.CLEAN, document, show)


def _narrow(cells: Sequence[str]) -> list[str]:
    """Return the cells without the interval of the last share, for a terminal."""
    *others, agreeing = cells
    return [*others, agreeing.split(" ")[0]]
