"""The command `undoor check`: predict inputs with the guarded model, and flag some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.console import report_reading
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.named_repair import RepairPath, RepairSha256
from undoor.cli.output import save_table
from undoor.cli.tables import table_of
from undoor.render.text import plain
from undoor.vocabulary import DEFAULT_POLICY, MAX_SCORE, NO_SCORE, Policy

if TYPE_CHECKING:
    from torch import Tensor

    from undoor.classifier import Classifier
    from undoor.noun import Noun
    from undoor.repair import Repair

SCHEMA = "undoor/check/2"
BATCH = 256
ROWS = 50

Images = Annotated[
    list[str],
    typer.Argument(
        help="Image files or recordings, folders of them, .npz archives; tables, or files of texts."
    ),
]
Split = Annotated[str | None, typer.Option(help="Part of an .npz archive: x_SPLIT.")]
PolicyOption = Annotated[
    Policy,
    typer.Option(
        "--policy",
        help="What is predicted for flagged inputs: relabel (the corrected network's class), "
        "reject (no class, label -1), flag (the bare model's class).",
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", help="Also write a table there, one line per input.", metavar="FILE"),
]


@dataclass(frozen=True)
class Checked:
    """One input: the prediction of the model, that of the guarded model, and the flag.

    A rejected one has no class and the label -1, or none where labels are no numbers of classes.

    Attributes
    ----------
    model_label, label
        The number of a class, a number, or a list of 0 and 1.
    model_class, label_class
        The same as people read it.
    score
        None where no corrected network ran, `MAX_SCORE` where the input cannot be judged.
    """

    image: str
    model_label: Any
    model_class: str
    label: Any
    label_class: str | None
    flagged: bool
    rejected: bool
    score: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the input as it stands in the JSON document."""
        return {
            "image": self.image,
            "model_label": self.model_label,
            "model_class": self.model_class,
            "label": self.label,
            "class": self.label_class,
            "flagged": self.flagged,
            "rejected": self.rejected,
            "score": self.score,
        }


@command(
    app,
    examples=[
        "undoor check model.toml --repair fix/ inputs/",
        "undoor check model.toml --repair fix/ a.png b.png --json",
        "undoor check model.toml --repair fix/ inputs/ --policy reject --csv checked.csv",
    ],
    exit_codes="0 no input is flagged, 1 some input is, 2 none is, but some could not be read",
)
def check(
    model: ModelOptions,
    images: Images,
    repair_folder: RepairPath,
    repair_sha256: RepairSha256 = None,
    split: Split = None,
    policy: PolicyOption = DEFAULT_POLICY,
    table: Csv = None,
) -> CommandResult:
    """Predict inputs with the guarded model and flag those that use the backdoor."""
    from undoor.clean_set import read_images

    classifier = model.load()
    repair = pipeline.read_repair(repair_folder, classifier, repair_sha256)
    x, names, reading = read_images(images, classifier, split=split, any_range=True)
    report_reading(reading)
    pipeline.warn_of_batches(classifier)
    rows = _check(classifier, repair, x, names, policy)
    flagged = sum(row.flagged for row in rows)
    lines = [row.to_json() for row in rows]
    document = {
        "schema": SCHEMA,
        "policy": policy,
        "flagged": flagged,
        "n": len(rows),
        "images": lines,
        "skipped": list(reading.skipped),
        "lost": dict(reading.lost),
        "changed": dict(reading.changed),
    }
    if table:
        save_table(table, lines)
    code = ExitCode.BACKDOORED if flagged else ExitCode.CLEAN
    if code is ExitCode.CLEAN and (reading.lost or _named_and_skipped(images, reading.skipped)):
        code = ExitCode.INCONCLUSIVE

    def show(console: Console) -> None:
        _show(console, rows, classifier.space.noun)

    return CommandResult(code, document, show)


def _named_and_skipped(images: list[str], skipped: tuple[str, ...]) -> bool:
    """Return whether a file that the user named was skipped, for whatever reason."""
    return any(entry.startswith(f"{Path(image)}: ") for image in images for entry in skipped)


def _check(
    classifier: Classifier, repair: Repair, x: Tensor, names: list[str], policy: Policy
) -> list[Checked]:
    import torch

    from undoor.guard import guard, guarded_predictions

    guarded = guard(classifier, repair, policy=policy).eval()
    task, goals = classifier.task, classifier.class_names
    rows: list[Checked] = []
    with torch.no_grad():
        for batch in x.split(BATCH):
            outputs = (classifier.predict(batch), *guarded_predictions(guarded, batch))
            columns = (part.tolist() for part in outputs)
            for before, label, flagged, score in zip(*columns, strict=True):
                rejected = task.is_withheld(label)
                rows.append(
                    Checked(
                        image=names[len(rows)],
                        model_label=before,
                        model_class=task.shown(before, goals),
                        label=None if rejected and not task.numbered else label,
                        label_class=None if rejected else task.shown(label, goals),
                        flagged=flagged,
                        rejected=rejected,
                        score=None if score == NO_SCORE else score,
                    )
                )
    return rows


def _score(score: float | None) -> str:
    if score is None:
        return ""
    return "not judged" if score == MAX_SCORE else f"{score:.3g}"


def _prediction(label: Any, called: str) -> Text:
    """Return a prediction with its number, where it has one, and its name."""
    numbered = isinstance(label, int) and called != str(label)
    return Text(plain(f"{label} {called}" if numbered else called))


def _show(console: Console, rows: list[Checked], noun: Noun) -> None:
    # Of many inputs, only the flagged ones are of interest.
    shown = rows if len(rows) <= ROWS else [row for row in rows if row.flagged]
    table = table_of(noun.one, "prediction", "guarded prediction", "flagged", "score")
    for row in shown[:ROWS]:
        table.add_row(
            Text(plain(row.image)),
            _prediction(row.model_label, row.model_class),
            Text("rejected")
            if row.label_class is None
            else _prediction(row.label, row.label_class),
            Text("FLAGGED" if row.flagged else "no", style="bold red" if row.flagged else "dim"),
            _score(row.score),
        )
    if shown:
        console.print(table)
    if len(shown) > ROWS:
        console.print(f"... and {len(shown) - ROWS} more; --json lists them all")
    flagged = sum(row.flagged for row in rows)
    colour = "red" if flagged else "green"
    unjudged = sum(_score(row.score) == "not judged" for row in rows)
    if unjudged:
        console.print(
            f"{unjudged} of {len(rows)} {noun.many} cannot be judged: their values lie outside the "
            "model's bounds, or they or the model's outputs are no finite numbers"
        )
    result = "flagged and rejected" if any(row.rejected for row in rows) else "flagged"
    console.print(Text(f"{flagged} of {len(rows)} {noun.many} {result}", style=f"bold {colour}"))
