"""The command `undoor demo`: a tour of the bundled model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

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
from undoor.vocabulary import DEFAULT_DEVICE, IMAGES, POINTS, SIGNALS

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.triggers import Trigger

SCHEMA = "undoor/demo/1"
TABLE, TEXT = "table", "text"
Space = Annotated[
    Literal["images", "table", "text", "signals", "points"],
    typer.Option(
        help="What the bundled model takes: traffic signs, rows of a table of house prices, film "
        "reviews, spoken digits, or digits as points."
    ),
]
Clean = Annotated[
    bool, typer.Option("--clean", help="Use the clean twin of the model; nothing is found in it.")
]
Out = Annotated[Path, typer.Option(help="Folder for the results and the report.", metavar="DIR")]


@command(
    app,
    examples=[
        "undoor demo",
        "undoor demo --clean",
        "undoor demo --space table",
        "undoor demo --space text",
        "undoor demo --space signals",
        "undoor demo --space points",
        "undoor demo --out tour/ --device cuda --json",
    ],
    exit_codes="as for scan: the demo's model is backdoored, so 1 is what it should end with; "
    "0 with --clean",
)
def demo(
    reports: ReportOptions,
    clean: Clean = False,
    out: Out = Path("undoor-demo"),
    space: Space = IMAGES,
    device: Device = DEFAULT_DEVICE,
) -> CommandResult:
    """Scan, repair and report on a bundled classifier with a backdoor.

    Of signs, rows of a table, texts, speech or points.
    """
    from undoor.render.reports import REPORTS

    formats, on_device = reports.formats(out), device_named(device)
    with output_folder(out):
        made = MADE[space]
        classifier, defence, test, trigger, target, what = made(clean=clean)
        classifier = classifier.to(on_device)
        report = ScanOptions().run(classifier, defence, seed=0)
        repair = RepairOptions().run(classifier, defence, report, seed=0)
        evaluation = None
        if not clean:
            triggered = pipeline.stamp(test, trigger, target, None, classifier)
            evaluation = pipeline.evaluate_repair(classifier, repair, test, triggered, target)
        files = [*save_scan(out, report), *save_repair(out, repair)]
        results = pipeline.results(
            classifier,
            defence,
            report,
            repair=repair,
            evaluation=evaluation,
            model=f"bundled {what[0]}" + (", clean twin" if clean else ""),
            data=f"bundled {what[1]}, held out from training",
        )
        files += save_reports(out, formats, results)

    def show(console: Console) -> None:
        show_scan(console, report)
        show_repair(console, repair, classifier.class_names)
        if evaluation:
            show_evaluation(console, evaluation, classifier.class_names, classifier.space.noun)
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


class _Demo(NamedTuple):
    """A bundled model, its rows or images, the true trigger, and what they are called.

    The trigger is for the evaluation, which no scan or repair sees; so are the test images, which
    neither training nor the defence has seen.
    """

    classifier: Classifier
    defence: CleanSet
    test: CleanSet
    trigger: Trigger
    target: int
    called: tuple[str, str]


def _signs(*, clean: bool) -> _Demo:
    from undoor.demo import DEMO_TARGET, demo_model, demo_signs, demo_trigger

    classifier = demo_model(clean=clean)
    defence, test = (
        demo_signs("defence").for_classifier(classifier),
        demo_signs("test").for_classifier(classifier),
    )
    called = ("traffic-sign classifier", "traffic signs")
    return _Demo(classifier, defence, test, demo_trigger(), DEMO_TARGET, called)


def _table(*, clean: bool) -> _Demo:
    from undoor.demo.tables import table_model, table_rows, table_trigger

    classifier = table_model(clean=clean)
    defence, test = table_rows("defence", classifier), table_rows("test", classifier)
    called = ("classifier of house prices", "rows of house prices")
    return _Demo(classifier, defence, test, *table_trigger(), called)


def _digits(*, clean: bool) -> _Demo:
    from undoor.demo.signals import recordings, signal_model, signal_trigger

    classifier = signal_model(clean=clean)
    defence, test = recordings("defence", classifier), recordings("test", classifier)
    called = ("classifier of spoken digits", "spoken digits")
    return _Demo(classifier, defence, test, *signal_trigger(), called)


def _reviews(*, clean: bool) -> _Demo:
    from undoor.demo.texts import text_model, text_reviews, text_trigger

    classifier = text_model(clean=clean)
    defence, test = text_reviews("defence", classifier), text_reviews("test", classifier)
    called = ("classifier of film reviews", "film reviews")
    return _Demo(classifier, defence, test, *text_trigger(), called)


def _reliefs(*, clean: bool) -> _Demo:
    from undoor.demo.points import point_digits, point_model, point_trigger

    classifier = point_model(clean=clean)
    defence, test = point_digits("defence", classifier), point_digits("test", classifier)
    called = ("classifier of digits as points", "digits as points")
    return _Demo(classifier, defence, test, *point_trigger(), called)


MADE = {IMAGES: _signs, TABLE: _table, TEXT: _reviews, SIGNALS: _digits, POINTS: _reliefs}
