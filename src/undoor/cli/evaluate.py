"""The command `undoor evaluate`: measure a repair with the true trigger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.class_number import class_number
from undoor.cli.command import CommandResult, command
from undoor.cli.data_options import DataOptions, read_data
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.named_repair import RepairPath, RepairSha256
from undoor.cli.show import show_evaluation
from undoor.errors import UsageError

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet

PANEL = "Triggered images: stamped here, or given"
Target = Annotated[
    str, typer.Option(help="The target class of the true backdoor, number or name.", metavar="T")
]


@dataclass(frozen=True)
class TriggeredOptions:
    """The triggered test images: stamped here with the true trigger, or given."""

    trigger: Annotated[
        Path | None,
        typer.Option(
            help="The true trigger, an .npz with mask, pattern and mode; stamped on the test set.",
            metavar="FILE.npz",
            rich_help_panel=PANEL,
        ),
    ] = None
    source: Annotated[
        str | None,
        typer.Option(
            help="The only class that the trigger works on, number or name.",
            metavar="S",
            rich_help_panel=PANEL,
        ),
    ] = None
    triggered: Annotated[
        Path | None,
        typer.Option(
            help="Images that already carry the trigger, with their own labels.",
            metavar="PATH",
            rich_help_panel=PANEL,
        ),
    ] = None
    triggered_split: Annotated[
        str | None, typer.Option(help="Part of --triggered.", rich_help_panel=PANEL)
    ] = None

    def validate(self) -> None:
        """Refuse options that contradict each other, before anything is loaded."""
        if (self.trigger is None) == (self.triggered is None):
            got = "neither" if self.trigger is None else "both"
            raise UsageError(
                f"expected either --trigger or --triggered, got {got}; give a trigger to stamp on "
                "the test set, or a set of images that carry it already"
            )
        if self.source is not None and self.trigger is None:
            raise UsageError(
                "--source goes with --trigger; with --triggered, leave other classes out of the set"
            )
        if self.triggered_split is not None and self.triggered is None:
            raise UsageError("--triggered-split goes with --triggered; use --split for --data")

    def read(
        self, classifier: Classifier, clean: CleanSet, target: int, classes: str | None
    ) -> CleanSet:
        """Return the triggered images; `classes` names their classes as for the clean images."""
        if self.triggered is not None:
            return read_data(
                self.triggered,
                self.triggered_split,
                classifier,
                several_classes=False,
                classes=classes,
            )
        from undoor.triggers import load_trigger

        assert self.trigger is not None
        trigger = load_trigger(self.trigger, shape=classifier.input_shape, bounds=classifier.bounds)
        source = (
            None
            if self.source is None
            else class_number(self.source, "--source", classifier.class_names)
        )
        return pipeline.stamp(clean, trigger, target, source, classifier)


@command(
    app,
    examples=[
        "undoor evaluate model.toml --repair fix/ --data test/ --target 5 --trigger trigger.npz",
        "undoor evaluate model.toml --repair fix/ --data test.npz --split test "
        "--target 5 --triggered stamped/ --json",
    ],
    exit_codes="0 evaluated",
)
def evaluate(
    model: ModelOptions,
    repair_folder: RepairPath,
    data: DataOptions,
    target: Target,
    stamped: TriggeredOptions,
    repair_sha256: RepairSha256 = None,
) -> CommandResult:
    """Measure a repair with the true trigger, where it is known: ACC, ASR, SIA, TPR, FPR, AUROC.

    Every rate comes before and after the repair, with a 95 % interval.
    """
    stamped.validate()
    classifier = model.load()
    target_class = class_number(target, "--target", classifier.class_names)
    repair = pipeline.read_repair(repair_folder, classifier, repair_sha256)
    classifier = classifier.with_goals(repair.contract.goals)
    clean = data.read(classifier, several_classes=False)
    triggered = stamped.read(classifier, clean, target_class, data.classes)
    result = pipeline.evaluate_repair(classifier, repair, clean, triggered, target_class)
    return CommandResult(
        ExitCode.CLEAN,
        result.to_json(),
        lambda console: show_evaluation(
            console, result, classifier.class_names, classifier.space.noun
        ),
    )
