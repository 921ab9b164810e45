"""What every search of one scan needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.images import ScanImages, whole
from undoor.inversion.journalled_search import search
from undoor.inversion.meter import Meter
from undoor.journal import Journal
from undoor.progress import Progress


@dataclass(frozen=True, eq=False)
class Work:
    """The model, its images, the source of chance, the budget and the progress of a scan.

    Attributes
    ----------
    classifier
        The model, counted by `meter`.
    images
        What triggers are estimated on and tried on.
    class_directions
        The natural direction of every class, from all images; None where the model has no linear
        head.
    generator
        The source of chance, on the CPU.
    meter
        What counts the passes; its budget may end.
    progress
        Progress callback.
    journal
        Where the results of searches are stored, if anywhere.
    """

    classifier: Classifier
    images: ScanImages
    class_directions: ClassDirections | None
    generator: torch.Generator
    meter: Meter
    progress: Progress
    journal: Journal | None = None

    def invert(
        self, searches: Sequence[Search], family: str, schedule: Schedule
    ) -> tuple[Candidate, ...]:
        """Return one candidate for each of `searches`: see `undoor.inversion.invert`."""
        return search(
            self.classifier,
            self.images.x,
            searches,
            family=family,
            schedule=schedule,
            generator=self.generator,
            journal=self.journal,
            class_directions=self.class_directions,
            meter=self.meter,
            progress=self.progress,
        )


def work_alone(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    meter: Meter,
    progress: Progress,
    journal: Journal | None,
) -> Work:
    """Prepare searches for one target after a scan: on all images, with nothing barred."""
    return Work(classifier, whole(clean), None, generator, meter, progress, journal)
