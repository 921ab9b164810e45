"""What the commands for models of one space or task share: from training to the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

import typer
from rich.console import Console

from undoor.cli.command import CommandResult
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.group import none_of, wanted

if TYPE_CHECKING:
    from undoor.calibrate import Observation
    from undoor.families.calibration import Calibration
    from undoor.scan.report import ScanReport
    from undoor_bench.zoo.subjects import Subject

# The record of the methods beside published ones.
RIVALS = "rivals"

Zoo = Annotated[Path, typer.Option(help="Folder that gets a folder a model.", metavar="DIR")]
RecordFolder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the record of the held-out half.", metavar="DIR"),
]
NullsFile = Annotated[
    Path | None,
    typer.Option("--learn", help="File for nulls, learned from the other half.", metavar="FILE"),
]
Rivals = Annotated[
    bool,
    typer.Option("--rivals", help="Set them beside published methods: the record rivals."),
]
Lines = Sequence[Mapping[str, Any]]


class Case(Protocol):
    """One model with the clean inputs that its defender has."""

    def scan(self, seed: int, calibration: Calibration | None = None) -> ScanReport:
        """Return the report of a scan."""

    def observed(self, report: ScanReport) -> Observation:
        """Return what a scan of the model teaches."""


Opened = TypeVar("Opened", bound=Case)
Data = TypeVar("Data")


@dataclass(frozen=True)
class Work(Generic[Opened]):
    """The models of one space or task, and what is done with them.

    Attributes
    ----------
    name
        Of the record.
    entries
        The models, with `name`, `data`, and `learn`: whether nulls are learned from them.
    train
        Trains one that is not there yet.
    case
        Opens one that is there.
    line, record
        Measure one of the held-out half, and make a text of the lines and the date.
    out, learn
        Folder for the record of the held-out half, and file for nulls, learned from the other.
    seed
        Of the scans.
    """

    name: str
    entries: Sequence[Any]
    train: Callable[[Any], object]
    case: Callable[[Any], Opened]
    line: Callable[[Opened], Mapping[str, Any]]
    record: Callable[[Lines, str], str]
    out: Path | None
    learn: Path | None
    seed: int


def entries_of(table: Path, kind: type[Any], only: Sequence[str] | None) -> tuple[Any, ...]:
    """Return the models of a table that are wanted, at least one.

    Raises
    ------
    UndoorError
        It is no such table, or none is wanted.
    """
    from undoor.errors import UndoorError
    from undoor_bench.zoo.model_table import read_models

    entries = tuple(entry for entry in read_models(table, kind) if wanted(entry.name, only))
    if not entries:
        raise UndoorError(f"{table}: {none_of(only)}")
    return entries


def opener(
    zoo: Path, read: Callable[[str], Data], case: Callable[[Subject, Data], Opened]
) -> Callable[[Any], Opened]:
    """Return what opens the model of an entry, in a zoo whose models are all trained.

    Parameters
    ----------
    zoo
        Folder of the models.
    read
        Reads a data set by its name, each once.
    case
        Makes the case of a model and its data set.
    """
    from undoor_bench.zoo.subjects import subjects

    by_name = cache(lambda: {subject.name: subject for subject in subjects(zoo)})
    data = cache(read)
    return lambda entry: case(by_name()[entry.name], data(entry.data))


def carried_out(work: Work[Opened], schema: str) -> CommandResult:
    """Train what is not there yet, learn nulls from one half of the models, measure the other."""
    from datetime import UTC, datetime

    from undoor_bench import tables
    from undoor_bench.detect.row_models import flat

    lines = _lines(work)
    if work.out is not None:
        date = datetime.now(UTC).date().isoformat()
        tables.save(work.out / work.name, work.record(lines, date), flat(lines))

    def show(console: Console) -> None:
        if work.learn is not None:
            console.print(f"{work.learn}: learned from {sum(e.learn for e in work.entries)} models")
        for line in lines:
            console.print(f"{line['name']}: {line['verdict']}, named {line['named'] or 'none'}")

    return CommandResult(ExitCode.CLEAN, {"schema": schema, "models": lines}, show)


def _lines(work: Work[Opened]) -> list[Mapping[str, Any]]:
    from undoor.calibrate import fitted
    from undoor.families.calibration import calibration_for
    from undoor.vocabulary import MANY_CLASSES

    with bars() as progress:
        for done, entry in enumerate(work.entries):
            progress("models", done, len(work.entries))
            work.train(entry)
        seen: list[Observation] = []
        lines: list[Mapping[str, Any]] = []
        for done, entry in enumerate(work.entries):
            if (work.learn if entry.learn else work.out) is None:
                continue
            progress("scans", done, len(work.entries))
            case = work.case(entry)
            if entry.learn:
                # What is found does not depend on what natural triggers look like.
                seen.append(case.observed(case.scan(work.seed, calibration_for(MANY_CLASSES))))
            else:
                lines.append(work.line(case))
        if work.learn is not None:
            fitted(seen, progress=progress)[0].save(work.learn)
    return lines
