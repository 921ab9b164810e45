"""The command `undoor demo`: a tour of the bundled model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.device_option import Device, device_named
from undoor.cli.exit_codes import of_verdict
from undoor.cli.output import output_folder, save_repair, save_scan
from undoor.cli.repair_options import RepairOptions
from undoor.cli.reports import ReportOptions, save_reports
from undoor.cli.scan_options import ScanOptions
from undoor.cli.show import show_evaluation, show_files, show_repair, show_scan
from undoor.vocabulary import DEFAULT_DEVICE

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.evaluate import Evaluation
    from undoor.repair import Repair

SCHEMA = "undoor/demo/1"
Clean = Annotated[
    bool, typer.Option("--clean", help="Use the clean twin of the model; nothing is found in it.")
]
Out = Annotated[Path, typer.Option(help="Folder for the results and the report.", metavar="DIR")]


@command(
    app,
    examples=["undoor demo", "undoor demo --clean", "undoor demo --out tour/ --device cuda --json"],
    exit_codes="as for scan: the demo's model is backdoored, so 1 is what it should end with; "
    "0 with --clean",
)
def demo(
    reports: ReportOptions,
    clean: Clean = False,
    out: Out = Path("undoor-demo"),
    device: Device = DEFAULT_DEVICE,
) -> CommandResult:
    """Scan, repair and report on a bundled traffic-sign classifier with a sticker backdoor."""
    from undoor.demo import demo_model, demo_signs
    from undoor.render.reports import REPORTS

    formats, on_device = reports.formats(out), device_named(device)
    with output_folder(out):
        classifier = demo_model(clean=clean).to(on_device)
        signs = demo_signs("defence").for_classifier(classifier)
        report = ScanOptions().run(classifier, signs, seed=0)
        repair = RepairOptions().run(classifier, signs, report, seed=0)
        evaluation = None if clean else _evaluate(classifier, repair)
        files = [*save_scan(out, report), *save_repair(out, repair)]
        results = pipeline.results(
            classifier,
            signs,
            report,
            repair=repair,
            evaluation=evaluation,
            model="bundled traffic-sign classifier" + (", clean twin" if clean else ""),
            data="bundled traffic signs, held out from training",
        )
        files += save_reports(out, formats, results)

    def show(console: Console) -> None:
        show_scan(console, report)
        show_repair(console, repair, classifier.class_names)
        if evaluation:
            show_evaluation(console, evaluation, classifier.class_names)
        page = out / REPORTS["html"].file
        following = f"open {shlex.quote(str(page))} in a browser" if page in files else None
        show_files(console, files, following)

    document = {
        "schema": SCHEMA,
        "scan": report.to_json(),
        "repair": repair.to_json(),
        "evaluation": evaluation.to_json() if evaluation else None,
    }
    return CommandResult(of_verdict(report.verdict), document, show)


def _evaluate(classifier: Classifier, repair: Repair) -> Evaluation:
    """Evaluate with the true trigger, on signs that neither training nor the defence has seen."""
    from undoor.demo import DEMO_TARGET, demo_signs, demo_trigger

    test = demo_signs("test").for_classifier(classifier)
    triggered = pipeline.stamp(test, demo_trigger(), DEMO_TARGET, None)
    return pipeline.evaluate_repair(classifier, repair, test, triggered, DEMO_TARGET)
