"""The command `undoor repair`: close backdoors without retraining."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.console import say
from undoor.cli.data_options import DataOptions
from undoor.cli.estimate import estimate
from undoor.cli.model_options import ModelOptions
from undoor.cli.output import output_folder, publish, results_folder, save_repair, save_scan
from undoor.cli.repair_options import RepairOptions
from undoor.cli.reports import GateOptions, ReportOptions, save_reports
from undoor.cli.runs import BudgetOptions, RunOptions, resume
from undoor.cli.scan_options import ScanOptions
from undoor.cli.show import show_files, show_repair, show_scan
from undoor.vocabulary import is_poor

if TYPE_CHECKING:
    from undoor.render.results import Results
    from undoor.repair import Repair

Out = Annotated[Path, typer.Option(help="Folder for the repair and its report.", metavar="DIR")]
Scan = Annotated[
    Path | None,
    typer.Option(
        help="The --out folder of an earlier scan; without it, the model is scanned.",
        metavar="DIR",
    ),
]


@command(
    app,
    examples=[
        "undoor repair model.toml --data clean/ --out fix/",
        "undoor repair model.toml --data clean/ --scan scan/ --out fix/",
        "undoor repair model.toml --data clean/ --fpr 0.05 --out fix/",
        "undoor repair model.toml --data clean/ --force-target stop --out fix/",
        "undoor repair model.toml --data clean/ --fit paper --out fix-paper/ --json",
    ],
    exit_codes="0 no backdoor found, nothing repaired; 1 backdoored and repaired; "
    "2 inconclusive; see --fail-on; 5 repaired, but its own cross-validated RA (SIA) is poor; "
    "6 the budget ended before the repair was done",
)
def repair(
    model: ModelOptions,
    data: DataOptions,
    search: ScanOptions,
    reports: ReportOptions,
    gate: GateOptions,
    run: RunOptions,
    limits: BudgetOptions,
    fixing: RepairOptions,
    out: Out,
    scan: Scan = None,
) -> CommandResult:
    """Close backdoors without retraining: corrections are added, no weight changes."""
    fixing.check()
    formats, learned = reports.formats(out), search.learned()
    with output_folder(run.folder(out), fresh=run.fresh) as journal:
        classifier = model.load()
        fixing.check_model(classifier)
        report = pipeline.read_scan(scan, classifier) if scan else None
        clean = data.read(classifier)
        classifier = run.bounded(classifier, clean, fit=True)
        if run.estimate:
            return estimate(
                classifier, clean, scanned=report, repair=True, quick=fixing.quick
            ).result()
        options = {"seed": data.seed, "scan": scan, **vars(search), **vars(fixing)}
        resume(journal, classifier, clean, options)
        budget, spent = limits.budget, (0.0, 0.0)
        if report is None:
            report = search.run(
                classifier,
                clean,
                seed=data.seed,
                calibration=learned,
                budget=budget,
                journal=journal,
            )
            spent = report.passes, report.seconds
        with pipeline.spent_before(*spent):
            result = fixing.run(
                classifier,
                clean,
                report,
                seed=data.seed,
                budget=budget.less(*spent),
                journal=journal,
            )
        results = pipeline.results(
            classifier, clean, report, repair=result, model=str(model.model), data=str(data.data)
        )
        files = _published(out, formats, results)

    def show(console: Console) -> None:
        show_scan(console, report)
        show_repair(console, result, report.class_names)
        following = (
            f"undoor check {model.arguments_again()} --repair {shlex.quote(str(out))} INPUTS..."
        )
        show_files(console, files, following if result.targets else None)

    poor = _warn_of_poor(result, report.class_names)
    return CommandResult(gate.code(result.verdict, poor=poor), result.to_json(), show)


def _published(out: Path, formats: list[str], results: Results) -> list[Path]:
    """Write scan, repair and reports to a staging folder, move them to `out`, and return them."""
    staging = results_folder(out)
    assert results.repair is not None
    files = [*save_scan(staging, results.scan), *save_repair(staging, results.repair)]
    return publish(out, [*files, *save_reports(staging, formats, results)])


def _warn_of_poor(repair: Repair, names: tuple[str, ...]) -> bool:
    """Warn about targets whose repair is poor, and return whether there are any."""
    from undoor.render.nouns import noun_of
    from undoor.render.repair_notes import poor_note
    from undoor.render.text import class_label

    poor = [item for item in repair.targets if is_poor(item.sia)]
    for item in poor:
        say(f"WARNING: {poor_note(item.sia, class_label(item.target, names), noun_of(repair))}")
    return bool(poor)
