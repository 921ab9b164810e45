"""The command `undoor adapt`: refit a repair on flagged inputs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.console import report_reading, say
from undoor.cli.data_options import DataOptions
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.named_repair import RepairPath, RepairSha256
from undoor.cli.output import output_folder, publish, results_folder, save_repair, save_scan
from undoor.cli.reports import ReportOptions, save_reports
from undoor.cli.runs import BudgetOptions, Fresh, resume
from undoor.cli.show import show_files, show_repair
from undoor.errors import UndoorError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from undoor.classifier import Classifier

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Inputs seen in operation, flagged or not: image files, folders of them, or .npz "
        "archives. No labels are needed."
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        help="Take the inputs that `undoor serve --keep-flagged N` kept in this database: its "
        "--database, such as sqlite:///undoor-serve.sqlite.",
        metavar="URL",
    ),
]
Out = Annotated[
    Path, typer.Option(help="Folder for the adapted repair and its report.", metavar="DIR")
]
InputsSplit = Annotated[
    str | None, typer.Option(help="Part of .npz archives among the inputs: x_SPLIT.")
]


@command(
    app,
    examples=[
        "undoor adapt model.toml --data clean/ --repair fix/ --out fix-2/ inputs/",
        "undoor adapt model.toml --data clean/ --repair fix/ --out fix-2/ day.npz night.npz --json",
        "undoor adapt model.toml --data clean/ --repair fix/ --out fix-2/ "
        "--database sqlite:///undoor-serve.sqlite",
    ],
    exit_codes="0 the corrections of at least one target are refitted, 2 none are: too few inputs "
    "are flagged, or too many of them would pass; 6 the budget ended",
)
def adapt(
    model: ModelOptions,
    repair_folder: RepairPath,
    data: DataOptions,
    out: Out,
    reports: ReportOptions,
    limits: BudgetOptions,
    inputs: Inputs = None,
    database: Database = None,
    repair_sha256: RepairSha256 = None,
    inputs_split: InputsSplit = None,
    fresh: Fresh = False,
) -> CommandResult:
    """Refit a repair on inputs that its guard flags, which carry the true trigger.

    Flagged inputs then get their own class back more often. Give what the model met in operation,
    not what a stranger sent for the purpose.
    """
    if not inputs and database is None:
        raise UsageError(
            "expected inputs, or --database with the flagged inputs of a service, got neither"
        )
    if out.resolve() == pipeline.folder_of(repair_folder).resolve():
        raise UsageError(
            f"--out {out}: expected another folder than that of --repair, got the same; the "
            "original repair is to be kept"
        )
    from undoor.journal import digest

    formats = reports.formats(out)
    with output_folder(out, fresh=fresh) as journal:
        classifier = model.load()
        repair = pipeline.read_repair(repair_folder, classifier, repair_sha256)
        report = pipeline.read_scan_beside(repair_folder, classifier)
        x = _read(classifier, inputs or [], inputs_split, database)
        clean = data.read(classifier)
        options = {"seed": data.seed, "repair": repair.sha256(), "inputs": digest(x)}
        resume(journal, classifier, clean, options)
        result, flagged = pipeline.adapt_repair(
            classifier, clean, repair, x, seed=data.seed, budget=limits.budget, journal=journal
        )
        staging = results_folder(out)
        files = [*(save_scan(staging, report) if report else []), *save_repair(staging, result)]
        if report:
            results = pipeline.results(
                classifier,
                clean,
                report,
                repair=result,
                flagged=flagged,
                model=str(model.model),
                data=str(data.data),
            )
            files += save_reports(staging, formats, results)
        files = publish(out, files)

    def show(console: Console) -> None:
        show_repair(console, result, classifier.class_names)
        following = (
            f"undoor check {model.arguments_again()} --repair {shlex.quote(str(out))} INPUTS..."
        )
        show_files(console, files, following)

    refitted = any(item.adapted and item.adapted.refitted for item in result.targets)
    code = ExitCode.CLEAN if refitted else ExitCode.INCONCLUSIVE
    return CommandResult(code, result.to_json(), show)


def _read(
    classifier: Classifier, inputs: list[str], split: str | None, database: str | None
) -> Tensor:
    """Return the inputs [N, *input_shape] of files and of a service's database."""
    import torch

    from undoor.clean_set import read_images

    parts = []
    if inputs:
        x, _, reading = read_images(inputs, classifier, split=split)
        report_reading(reading)
        parts.append(x)
    if database is not None:
        parts.append(_kept(database, classifier))
    return torch.cat(parts)


def _kept(database: str, classifier: Classifier) -> Tensor:
    """Return the inputs that the guard of a service flagged and kept, of this model."""
    import torch

    from undoor.device import from_array

    pipeline.require_library("sqlalchemy")
    from undoor.serve.store import Store

    store = Store(database, create=False)
    found = [
        item.x
        for item in store.kept(classifier.fingerprint())
        # What no guard judged, such as NaN, teaches nothing.
        if item.target is not None and item.x.shape == classifier.input_shape
    ]
    store.close()
    if not found:
        raise UndoorError(
            "--database: expected flagged inputs of this model, got none; they are kept by "
            "`undoor serve --keep-flagged N`"
        )
    say(f"{len(found)} flagged inputs of the service are read")
    return torch.stack([from_array(x) for x in found])
