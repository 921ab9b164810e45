"""The parts of a scan, set up alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from helpers.tiny import CLASSES, clean_images, toy_classifier
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.identity.model import identify
from undoor.inversion.candidates import Candidate
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.image_split import split
from undoor.inversion.margins import clean_margin
from undoor.inversion.meter import Meter
from undoor.inversion.work import Run, Work
from undoor.scan.report import ScanReport


def report_of(classifier: Classifier, report: ScanReport) -> ScanReport:
    """The report of a network that computes the same, as if this one had been scanned."""
    identity = identify(classifier)
    return replace(report, fingerprint=str(identity.sha256), identity=identity)


def work_on(classifier: Classifier, clean: CleanSet, *, bar: bool = True, seed: int = 0) -> Work:
    """As `undoor.scan.run.scan` makes it; without `bar`, nothing is barred."""
    generator = torch.Generator().manual_seed(seed)
    class_directions = ClassDirections.of(classifier, clean.images, clean.labels) if bar else None
    known = classifier.predict(clean.images) == clean.labels
    meter = Meter()
    images = split(clean, known, classifier.task, generator)
    return Work(classifier.counted(meter), images, class_directions, Run(generator, meter))


def toy_work(*, backdoored: bool = True, classes: int = CLASSES, seed: int = 0) -> Work:
    classifier = toy_classifier(backdoored=backdoored, classes=classes)
    work = work_on(classifier, clean_images(6, classes=classes), seed=seed)
    logits = classifier.logits(work.images.x)
    work.run.meter.passes = 0.0
    return replace(work, clean_margin=clean_margin(work.classifier.task, logits))


def margins(found: tuple[Candidate, ...]) -> list[float]:
    return [candidate.margin if candidate.margin is not None else np.nan for candidate in found]
