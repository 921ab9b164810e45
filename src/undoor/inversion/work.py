"""What every search of one scan or repair needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.families.family import Family
from undoor.families.registry import family_named
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.goals import Goals
from undoor.inversion.image_split import ScanImages, whole
from undoor.inversion.journalled_search import search
from undoor.inversion.meter import Meter
from undoor.journal import Journal
from undoor.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Run:
    """What all steps of one scan or repair share.

    Attributes
    ----------
    generator
        The source of chance, on the CPU.
    meter
        What counts the passes; its budget may end.
    progress
        Progress callback.
    journal
        Where the results of steps are stored, if anywhere.
    rehearsal
        Whether everything is drawn and nothing is optimised, so that the generator ends where it
        would.
    """

    generator: torch.Generator
    meter: Meter = field(default_factory=Meter)
    progress: Progress = silent
    journal: Journal | None = None
    rehearsal: bool = False

    def steps(self, steps: int) -> int:
        """Return how many of the steps of a search are taken: all, or none in a rehearsal."""
        return 0 if self.rehearsal else steps


@dataclass(frozen=True, eq=False)
class Work:
    """What the searches of one scan need.

    Attributes
    ----------
    classifier
        The model, counted by the meter of `run`.
    images
        What triggers are estimated on and tried on.
    class_directions
        The natural direction of every class, from all images; None where the model has no linear
        head.
    run
        The source of chance, the budget, the progress and the journal.
    clean_margin
        The median margin of the clean inputs' own classes, in logits: the unit of margins.
    goals
        The classes that are searched; None for all.
    """

    classifier: Classifier
    images: ScanImages
    class_directions: ClassDirections | None
    run: Run
    clean_margin: float = 1.0
    goals: Goals | None = None

    @cached_property
    def clearest_pairs(self) -> dict[object, Tensor]:
        """What the search for pairs of cells has found, from which that for three goes on."""
        return {}

    @property
    def targets(self) -> Sequence[int]:
        """The classes that triggers are searched towards, in class order."""
        return range(self.classifier.num_classes) if self.goals is None else self.goals.searched

    @property
    def asked(self) -> tuple[int, ...]:
        """The same where they are not all: what results in a journal depend on."""
        return () if self.goals is None else self.goals.searched

    def invert(
        self, searches: Sequence[Search], family: str, schedule: Schedule
    ) -> tuple[Candidate, ...]:
        """Return one candidate for each of `searches`: see `undoor.inversion.invert`.

        Of families found by trying alone: what the searches start from, as it is.
        """
        if self.tried_alone(family_named(family)):
            return tuple(map(_unchanged, searches))
        return search(
            self.classifier,
            self.images.x,
            searches,
            family=family,
            schedule=replace(schedule, steps=self.run.steps(schedule.steps)),
            generator=self.run.generator,
            journal=self.run.journal,
            class_directions=self.class_directions,
            meter=self.run.meter,
            progress=self.run.progress,
        )

    def tried_alone(self, family: Family) -> bool:
        """Return whether triggers of a family are found by trying alone, as all of black boxes."""
        return bool(family.candidates.relatives) or black_box_in(self.classifier) is not None


def _unchanged(search: Search) -> Candidate:
    assert search.start is not None
    return Candidate(search.target, search.start.family, None, search.start)


def work_alone(classifier: Classifier, clean: CleanSet, run: Run) -> Work:
    """Prepare searches for one target after a scan: on all images, with nothing barred."""
    return Work(classifier, whole(clean, classifier.task), None, run)
