"""Options that several commands of `undoor-bench` share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from undoor.cli.console import code_warnings

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor_bench.zoo.subjects import Subject

Zoo = Annotated[Path, typer.Argument(help="Folder of models with truth.json.", metavar="ZOO")]
Data = Annotated[
    Path, typer.Option(help="Folder with cifar10.npz, gtsrb.npz or mnist.npz.", metavar="DIR")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="Only models whose name contains this; several times for several texts.",
        metavar="TEXT",
    ),
]
HeldOut = Annotated[
    bool, typer.Option("--held-out", help="Leave out models that thresholds were learned from.")
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="RUN the Python code that the model.toml of each of these models names as its "
        "architecture.",
    ),
]
Amounts = Annotated[
    str,
    typer.Option(
        help="Images a class (30) or per cent of the training set (0.1%), with commas.",
        metavar="LIST",
    ),
]
RecordsOut = Annotated[
    Path, typer.Option(help="Folder that gets a record a scan, and the tables.", metavar="DIR")
]


def wanted(name: str, only: Sequence[str] | None) -> bool:
    """Return whether `--only` selects a model of this name."""
    return not only or any(text in name for text in only)


def none_of(only: Sequence[str] | None) -> str:
    """Return the message where `--only` selects no model."""
    return f"no model whose name contains {' or '.join(map(repr, only or ['']))}"


def chosen(
    zoo: Path, only: Sequence[str] | None, *, held_out: bool, trust_code: bool
) -> list[Subject]:
    """Return the selected models of a zoo, at least one.

    Parameters
    ----------
    trust_code
        Whether code runs that their files name; each file is named on stderr before.
    """
    from undoor.errors import UndoorError
    from undoor.families.calibration import calibrated_on
    from undoor_bench.zoo.subjects import subjects

    known = set(calibrated_on()) if held_out else set()
    models = [s for s in subjects(zoo) if wanted(s.name, only) and s.name not in known]
    if not models:
        raise UndoorError(f"{zoo}: {none_of(only)}")
    return [replace(s, opener=_opened_with_warnings) for s in models] if trust_code else models


def _opened_with_warnings(folder: Path) -> Classifier:
    """Return a model whose code is trusted; code that runs is listed on stderr."""
    from undoor.load import load

    with code_warnings(folder, trusted=True, hint=False) as (_, ran):
        classifier = load(folder, trust_code=True)
        ran(classifier)
    return classifier


def rich_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """Return a table for the terminal; on a narrow one words are broken, but nothing is cut off."""
    table = Table(*(Column(name, overflow="fold") for name in header))
    for line in lines:
        table.add_row(*line)
    return table
