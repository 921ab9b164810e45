"""The command `undoor calibrate`: learn what natural triggers look like, from clean models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars


@command(
    app,
    examples=[
        "undoor calibrate scans/*/ --out own.toml",
        "undoor scan model.toml --data clean/ --calibration own.toml",
    ],
    exit_codes="0 done",
)
def calibrate(
    reports: Annotated[
        list[Path],
        typer.Argument(
            help="Reports of scans of clean models: folders of `undoor scan --out`, or what "
            "`undoor scan --json` printed. At least ten.",
            metavar="REPORT...",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="TOML file to write.", metavar="FILE")],
    accept_backdoored: Annotated[
        bool,
        typer.Option(
            "--accept-backdoored",
            help="Models count that their own scan calls backdoored: you know that they are clean.",
        ),
    ] = False,
) -> CommandResult:
    """Learn what natural triggers look like in models of yours, which undoor was not calibrated on.

    Train at least ten clean models in different ways, on data like that of the models to be
    scanned; scan each; and give the reports. With the file the p-values of a scan are those of such
    models, so that models like them can be called clean.
    """
    from undoor.calibrate import calibrate as learn
    from undoor.calibrate.reports import read_report
    from undoor.cli.show_calibration import calibration_table
    from undoor.errors import UndoorError

    if len(set(reports)) < len(reports):
        raise UndoorError("expected each report once, got one several times; leave out the copies")
    found = {str(file): read_report(file) for file in reports}
    with bars() as progress:
        learned = learn(found, accept_backdoored=accept_backdoored, progress=progress)
    learned.save(out)

    def show(console: Console) -> None:
        console.print(calibration_table(learned))
        console.print(f"{out}: learned from {len(learned.models)} models", markup=False)

    return CommandResult(ExitCode.CLEAN, learned.to_json() | {"file": str(out)}, show)
