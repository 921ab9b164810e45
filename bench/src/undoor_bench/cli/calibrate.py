"""The command `undoor-bench calibrate`: make undoor's own calibrations from models of zoos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app

SCHEMA = "undoor/bench-calibrate/2"


@command(
    app,
    examples=[
        "undoor-bench calibrate bench/results/evidence.jsonl --table zoo/table.toml "
        "--table zoo/kinds.toml --table zoo/few.toml --out src/undoor/families/",
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
    out: Annotated[Path, typer.Option(help="Folder to write a TOML file each to.", metavar="DIR")],
    plots: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures of how rare each clean model is.", metavar="DIR"),
    ] = None,
) -> CommandResult:
    """Learn how small, and how clear, natural triggers are: of many classes, and of few.

    Unlike `undoor calibrate` from models with backdoors as well, which show how much each family
    counts.
    """
    from undoor.calibrate import fitted
    from undoor.cli.show_calibration import calibration_table
    from undoor.errors import UndoorError
    from undoor.families.calibration import FEW, MANY
    from undoor.files import write_text
    from undoor.vocabulary import MANY_CLASSES
    from undoor_bench.evidence import read_evidence
    from undoor_bench.nulls.plot import null_plot
    from undoor_bench.nulls.unsearched import with_unsearched
    from undoor_bench.zoo.entries import read_table

    half = {entry.name for file in table for entry in read_table(file) if entry.calibrate}
    found = [model for model in read_evidence(evidence) if model.name in half]
    parts = {
        MANY: [model for model in found if model.classes >= MANY_CLASSES],
        FEW: [model for model in found if model.classes < MANY_CLASSES],
    }
    if not found:
        raise UndoorError(f"{evidence}: expected models that a table calibrates on, got none")
    learned = {}
    with bars() as progress:
        for file, models in parts.items():
            if not models:
                continue
            learned[file], combinations = fitted(models, progress=progress)
            with_unsearched(learned[file]).save(out / file)
            if plots is not None:
                picture = null_plot(combinations, learned[file].lowest)
                write_text(plots / f"{Path(file).stem}.svg", picture)

    def show(console: Console) -> None:
        for file, calibration in learned.items():
            console.print(f"{out / file}: {len(calibration.models)} models")
            console.print(calibration_table(calibration))

    document = {"schema": SCHEMA, **{file: each.to_json() for file, each in learned.items()}}
    return CommandResult(ExitCode.CLEAN, document, show)
