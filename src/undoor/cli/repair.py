"""The command `undoor repair`: close backdoors without retraining."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.console import Console

from undoor import vocabulary
from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.class_number import class_number
from undoor.cli.command import CommandResult, command
from undoor.cli.console import say
from undoor.cli.data_options import DataOptions
from undoor.cli.estimate import estimate
from undoor.cli.model_options import ModelOptions
from undoor.cli.output import output_folder, publish, results_folder, save_repair, save_scan
from undoor.cli.reports import GateOptions, ReportOptions, save_reports
from undoor.cli.runs import BudgetOptions, RunOptions, resume
from undoor.cli.scan_options import ScanOptions
from undoor.cli.show import show_files, show_repair, show_scan
from undoor.extensions import declared
from undoor.vocabulary import DEFAULT_FIT, DEFAULT_FPR, FIT_GROUP, is_poor

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


def _known_fit(name: str) -> str:
    """Refuse an unknown fit, before any work."""
    known = (*get_args(vocabulary.Fit), *declared(FIT_GROUP))
    if name not in known:
        raise typer.BadParameter(f"expected one of {', '.join(known)}, got {name!r}")
    return name


Fit = Annotated[
    str,
    typer.Option(
        metavar="FIT",
        callback=_known_fit,
        help="How corrections are fitted: paired (the default: moments of each unit, and what "
        "pairs of clean and triggered images show of channels together), onepass (moments alone), "
        "paper (the published equations), reference (as the authors' released code works), or one "
        "that an installed package adds.",
    ),
]
Fpr = Annotated[
    float,
    typer.Option(
        help="Share of the clean inputs of a suspected target that may be flagged; "
        "a warning says where the images are too few to guarantee it.",
        metavar="SHARE",
    ),
]

Force = Annotated[
    list[str] | None,
    typer.Option(
        "--force-target",
        help="Repair this class too, by name or number, whatever the scan reports; may be given "
        "several times.",
        metavar="CLASS",
    ),
]

Suspects = Annotated[
    int,
    typer.Option(
        help="Repair the N classes that stand out most, even if the scan names fewer: "
        "a false alarm costs little.",
        metavar="N",
        min=0,
    ),
]

Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Correct channels with the scan's own trigger: 1 to 2 s after the scan instead of 40 "
        "to 90 s; less reliable for patterns over the whole image.",
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
    out: Out,
    scan: Scan = None,
    fit: Fit = DEFAULT_FIT,
    fpr: Fpr = DEFAULT_FPR,
    force_target: Force = None,
    suspects: Suspects = 0,
    quick: Quick = False,
) -> CommandResult:
    """Close backdoors without retraining: corrections are added, no weight changes."""
    pipeline.check_fpr(fpr)
    formats = reports.formats(out)
    with output_folder(run.folder(out), fresh=run.fresh) as journal:
        classifier = model.load()
        pipeline.check_repairable(classifier)
        names = classifier.class_names
        forced_targets = [class_number(c, "--force-target", names) for c in force_target or []]
        report = pipeline.read_scan(scan, classifier) if scan else None
        clean = data.read(classifier)
        classifier = run.bounded(classifier, clean, fit=True)
        if run.estimate:
            return estimate(classifier, clean, scanned=report, repair=True, quick=quick).result()
        choices = vars(search) | {"seed": data.seed, "scan": scan, "fit": fit, "fpr": fpr}
        choices |= {"forced": forced_targets, "suspects": suspects, "quick": quick}
        resume(journal, classifier, clean, choices)
        budget = limits.budget
        if report is None:
            report = search.run(classifier, clean, seed=data.seed, budget=budget, journal=journal)
            budget = budget.less(report.passes, report.seconds)
        result = pipeline.repair_model(
            classifier,
            clean,
            report,
            fit=fit,
            fpr=fpr,
            force_targets=forced_targets,
            suspects=suspects,
            quick=quick,
            seed=data.seed,
            budget=budget,
            journal=journal,
        )
        results = pipeline.results(
            classifier, clean, report, repair=result, model=str(model.model), data=str(data.data)
        )
        files = _published(out, formats, results)

    def show(console: Console) -> None:
        show_scan(console, report)
        show_repair(console, result, classifier.class_names)
        following = (
            f"undoor check {model.arguments_again()} --repair {shlex.quote(str(out))} IMAGES..."
        )
        show_files(console, files, following if result.targets else None)

    poor = _warn_of_poor(result, classifier.class_names)
    return CommandResult(gate.code(result.verdict, poor=poor), result.to_json(), show)


def _published(out: Path, formats: list[str], results: Results) -> list[Path]:
    """Write scan, repair and reports to a staging folder, move them to `out`, and return them."""
    staging = results_folder(out)
    assert results.repair is not None
    files = [*save_scan(staging, results.scan), *save_repair(staging, results.repair)]
    return publish(out, [*files, *save_reports(staging, formats, results)])


def _warn_of_poor(repair: Repair, names: tuple[str, ...]) -> bool:
    """Warn about targets whose repair is poor, and return whether there are any."""
    from undoor.render.repair_notes import poor_note
    from undoor.render.text import class_label

    poor = [item for item in repair.targets if is_poor(item.sia)]
    for item in poor:
        say(f"WARNING: {poor_note(item.sia, class_label(item.target, names))}")
    return bool(poor)
