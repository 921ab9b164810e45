"""What the commands for models of one space share: from training to nulls and the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from undoor.cli.command import CommandResult
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars

if TYPE_CHECKING:
    from undoor.calibrate import Observation
    from undoor_bench.detect.row_models import Samples


class Entry(Protocol):
    """A model of a table of models."""

    @property
    def name(self) -> str:
        """Of the model, and of its folder."""

    @property
    def data(self) -> str:
        """The name of its data set."""

    @property
    def learn(self) -> bool:
        """Whether it is of the half that nulls are learned from."""


@dataclass(frozen=True)
class Work:
    """The models of one space, and what is done with them.

    Attributes
    ----------
    called
        The name of the record, and of the space in sentences.
    entries
        The models.
    train
        Trains one that is not there yet.
    data
        Reads a data set by its name.
    zoo
        Folder of the models.
    out, learn
        Folder for the record of the held-out half, and file for nulls, learned from the other.
    per_class, seed
        Clean samples per class; of their draw and of the scan.
    """

    called: tuple[str, str]
    entries: Sequence[Entry]
    train: Callable[[Any], object]
    data: Callable[[str], Samples]
    zoo: Path
    out: Path | None
    learn: Path | None
    per_class: int
    seed: int


def carried_out(work: Work, schema: str) -> CommandResult:
    """Train what is not there yet, learn nulls from one half of the models, measure the other."""
    from datetime import UTC, datetime

    from undoor_bench import tables
    from undoor_bench.detect.row_models import flat, text_of

    lines = _lines(work)
    if work.out is not None:
        name, what = work.called
        date = datetime.now(UTC).date().isoformat()
        tables.save(work.out / name, text_of(lines, date, what), flat(lines))

    def show(console: Console) -> None:
        if work.learn is not None:
            console.print(f"{work.learn}: learned from {sum(e.learn for e in work.entries)} models")
        for line in lines:
            console.print(f"{line['name']}: {line['verdict']}, named {line['named'] or 'none'}")

    return CommandResult(ExitCode.CLEAN, {"schema": schema, "models": lines}, show)


def _lines(work: Work) -> list[Mapping[str, Any]]:
    from undoor.calibrate import fitted
    from undoor.families.calibration import calibration_for
    from undoor.vocabulary import MANY_CLASSES
    from undoor_bench.detect.row_models import RowCase, result_of
    from undoor_bench.zoo.subjects import subjects

    with bars() as progress:
        for done, entry in enumerate(work.entries):
            progress("models", done, len(work.entries))
            work.train(entry)
        by_name = {subject.name: subject for subject in subjects(work.zoo)}
        read = {name: work.data(name) for name in {entry.data for entry in work.entries}}
        seen: list[Observation] = []
        lines: list[Mapping[str, Any]] = []
        for done, entry in enumerate(work.entries):
            if (work.learn if entry.learn else work.out) is None:
                continue
            progress("scans", done, len(work.entries))
            case = RowCase.of(
                by_name[entry.name], read[entry.data], per_class=work.per_class, seed=work.seed
            )
            if entry.learn:
                # What is found does not depend on what natural triggers look like.
                seen.append(case.observed(case.scan(work.seed, calibration_for(MANY_CLASSES))))
            else:
                lines.append(result_of(case, work.seed))
        if work.learn is not None:
            fitted(seen, progress=progress)[0].save(work.learn)
    return lines
