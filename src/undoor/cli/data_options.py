"""Options that name labelled images."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undoor.cli.console import report_reading

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet

DATA_PANEL = "Data"

Classes = Annotated[
    str | None,
    typer.Option(
        help="The names of the model's classes in the data: in the order of its numbers, or a file "
        "with one name per line or JSON ({name of the data: class of the model}).",
        metavar="FILE|A,B,...",
        rich_help_panel=DATA_PANEL,
    ),
]


DATA_HELP = (
    "Clean, labelled images: a folder of class folders, an .npz, Parquet files, a folder of "
    "datasets' save_to_disk, or .tar shards (s-{00..07}.tar)."
)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options that say which of the images are used, whatever data they are of."""

    split: Annotated[
        str | None,
        typer.Option(
            help="Part of the data: x_SPLIT in an .npz, a column or files of Parquet, a split of a "
            "saved data set, a sub-folder.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None
    per_class: Annotated[
        int | None,
        typer.Option(
            help="Use at most N images of each class; no others are decoded.",
            metavar="N",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None
    seed: Annotated[
        int, typer.Option(help="Seed of every random draw.", rich_help_panel=DATA_PANEL)
    ] = 0

    classes: Classes = None


@dataclass(frozen=True, kw_only=True)
class DataOptions(SampleOptions):
    """Options that name labelled clean images."""

    data: Annotated[Path, typer.Option(help=DATA_HELP, metavar="PATH", rich_help_panel=DATA_PANEL)]

    def read(self, classifier: Classifier, *, several_classes: bool = True) -> CleanSet:
        """Return the clean set, fitted to the classifier.

        Images that were skipped or changed are reported on stderr.
        """
        clean = read_data(
            self.data,
            self.split,
            classifier,
            several_classes=several_classes,
            classes=self.classes,
            per_class=self.per_class,
            seed=self.seed,
        )
        # Drawn images come in the order drawn, as those of `balanced`.
        return clean if self.per_class else clean.balanced(None, self.seed, classifier.task)

    def read_unlabelled(self, classifier: Classifier) -> CleanSet:
        """Return the inputs without labels, with the classes that the classifier predicts.

        Inputs that were skipped or changed are reported on stderr.
        """
        from undoor.clean_set import read_labelled_by_model

        clean = read_labelled_by_model(
            [self.data], classifier, split=self.split, per_class=self.per_class, seed=self.seed
        )
        report_reading(clean.reading)
        return clean

    def arguments_again(self) -> str:
        """Return these options as typed, for the next command."""
        parts = ["--data", str(self.data)]
        parts += ["--split", self.split] if self.split else []
        parts += ["--per-class", str(self.per_class)] if self.per_class else []
        parts += ["--seed", str(self.seed)] if self.seed else []
        parts += ["--classes", self.classes] if self.classes else []
        return shlex.join(parts)


def read_data(
    path: Path,
    split: str | None,
    classifier: Classifier,
    *,
    several_classes: bool = True,
    classes: str | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> CleanSet:
    """Return the data set at `path`, fitted to the classifier.

    Images that were skipped or changed are reported on stderr.

    Parameters
    ----------
    several_classes
        Whether there must be images of at least two classes; a test set may have one.
    """
    from undoor.clean_set import read_classes, read_clean_set

    clean = read_clean_set(
        path,
        split=split,
        classifier=classifier,
        require_several_classes=several_classes,
        classes=None if classes is None else read_classes(classes),
        per_class=per_class,
        seed=seed,
    )
    report_reading(clean.reading)
    return clean
