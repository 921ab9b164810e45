"""The command `undoor scan`: search a model for backdoors."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.class_number import class_number
from undoor.cli.command import CommandResult, command
from undoor.cli.data_options import DATA_PANEL, DataOptions
from undoor.cli.estimate import estimate
from undoor.cli.model_options import ModelOptions
from undoor.cli.output import output_folder, publish, results_folder, save_scan
from undoor.cli.reports import GateOptions, ReportOptions, save_reports
from undoor.cli.runs import BudgetOptions, RunOptions, resume
from undoor.cli.scan_options import SCAN_PANEL, ScanOptions
from undoor.cli.show import show_files, show_scan
from undoor.vocabulary import BUDGET, LABELS, SCORES

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.scan.report import ScanReport

Out = Annotated[
    Path | None,
    typer.Option(help="Folder for the report and the recovered triggers.", metavar="DIR"),
]

Targets = Annotated[
    str | None,
    typer.Option(
        help="Search for triggers towards these classes alone, by name or number, and towards some "
        "others to compare with. Costs less; the model is then never called clean.",
        metavar="A,B,...",
        rich_help_panel=SCAN_PANEL,
    ),
]
Unlabelled = Annotated[
    bool,
    typer.Option(
        "--unlabelled",
        help="The images have no labels: those that the model predicts stand for them. The report "
        "says what that costs in trust.",
        rich_help_panel=DATA_PANEL,
    ),
]


@command(
    app,
    examples=[
        "undoor scan model.toml --data clean/ --out scan/",
        "undoor scan model.toml --data test.npz --split hold --per-class 30 --json > scan.json",
        "undoor scan model.toml --data clean/ --alpha 0.005 --max-seconds 300",
        "undoor scan model.toml --data clean/ --out scan/ --report html,sarif --fail-on backdoored",
        "undoor scan model.toml --data photos/ --unlabelled --targets 3,7",
        "undoor scan weights.safetensors --architecture nets.py:resnet20 "
        "--input-shape 3,32,32 --data clean/",
    ],
    exit_codes="0 no backdoor found, 1 backdoored, 2 inconclusive; see --fail-on",
)
def scan(
    model: ModelOptions,
    data: DataOptions,
    search: ScanOptions,
    reports: ReportOptions,
    gate: GateOptions,
    run: RunOptions,
    limits: BudgetOptions,
    targets: Targets = None,
    unlabelled: Unlabelled = False,
    out: Out = None,
) -> CommandResult:
    """Search a model for backdoors: name their targets and recover their triggers.

    Needs 10 to 100 clean, labelled images of each class that were not used for training.
    """
    formats, learned = reports.formats(out), search.learned()
    with output_folder(run.folder(out), fresh=run.fresh) as journal:
        classifier = model.load()
        asked = _asked(targets, classifier)
        clean = data.read_unlabelled(classifier) if unlabelled else data.read(classifier)
        classifier = run.bounded(classifier, clean)
        if run.estimate:
            return estimate(classifier, clean, targets=asked).result()
        resume(journal, classifier, clean, {"seed": data.seed, "targets": asked, **vars(search)})
        report = search.run(
            classifier,
            clean,
            seed=data.seed,
            calibration=learned,
            budget=limits.budget,
            targets=asked,
            journal=journal,
        )
        files: list[Path] = []
        if out:
            results = pipeline.results(
                classifier, clean, report, model=str(model.model), data=str(data.data)
            )
            staging = results_folder(out)
            files = publish(
                out, [*save_scan(staging, report), *save_reports(staging, formats, results)]
            )

    following = _following(report, model, data, out)

    def show(console: Console) -> None:
        show_scan(console, report)
        show_files(console, files, following)

    return CommandResult(gate.code(report.verdict), report.to_json(), show)


def _asked(targets: str | None, classifier: Classifier) -> list[int] | None:
    """Return the classes that --targets names; None for all."""
    if targets is None:
        return None
    names = classifier.class_names
    whole = [targets] if targets in names else targets.split(",")
    return sorted({class_number(each.strip(), "--targets", names) for each in whole})


def _following(
    report: ScanReport, model: ModelOptions, data: DataOptions, out: Path | None
) -> str | None:
    """Return the next command for the user, which follows from the verdict and its cause.

    None where there is none.
    """
    given = f"{model.arguments_again()} {data.arguments_again()}"
    if report.verdict == "clean" or SCORES in report.causes:
        return None
    if not report.findings and BUDGET in report.causes:
        folder = f" --out {shlex.quote(str(out))}" if out else ""
        return f"undoor scan {given}{folder} with a larger --max-passes or --max-seconds"
    if LABELS in report.causes:
        return f"undoor inspect {model.arguments_again()} --data {shlex.quote(str(data.data))}"
    scanned = f" --scan {shlex.quote(str(out))}" if out else ""
    # Where nothing is named, what stands out most can still be corrected at little cost.
    suspects = "" if report.findings else " --suspects 2"
    return f"undoor repair {given}{scanned}{suspects} --out fix"
