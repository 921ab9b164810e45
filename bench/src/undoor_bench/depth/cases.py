"""The networks whose layers are looked at: those of a zoo, with their true triggers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.triggers import Trigger
from undoor_bench.depth.layers import FITTED, TRIED, Known
from undoor_bench.detect.row_models import RowCase
from undoor_bench.detect.text_models import text_case
from undoor_bench.zoo.entries import read_split
from undoor_bench.zoo.planted import planted
from undoor_bench.zoo.point_data import POINTS, read_points
from undoor_bench.zoo.row_data import TABLES, read_rows
from undoor_bench.zoo.signal_data import SIGNALS, read_signals
from undoor_bench.zoo.subjects import Subject
from undoor_bench.zoo.text_data import LENGTHS, read_texts


def known_of(subject: Subject, data: Path) -> Iterator[Known]:
    """Yield a model once for each of its backdoors, of which there is a trigger.

    Texts in another style or syntax have none: they were rewritten.

    Parameters
    ----------
    data
        A folder with the data sets, whose test part is used.
    """
    if case := _case(subject, data):
        if case.trigger is not None:
            goals = range(case.classifier.num_classes)
            sources = tuple(k for k in goals if k not in subject.targets)
            for target in subject.targets:
                yield _known(subject, case.classifier, case.test, case.trigger, target, sources)
        return
    classifier = subject.load()
    test = read_split(data / f"{subject.data}.npz", "test").for_classifier(classifier)
    for each in planted(subject, classifier):
        yield _known(subject, classifier, test, each.trigger, each.target, each.sources)


def _case(subject: Subject, data: Path) -> RowCase | None:
    """Return a model of rows, signals, points or texts with its test inputs; None of images."""
    if subject.data in TABLES:
        return RowCase.of(subject, read_rows(subject.data, data), per_class=1, seed=0)
    if subject.data in SIGNALS:
        return RowCase.of(subject, read_signals(subject.data, data), per_class=1, seed=0)
    if subject.data in POINTS:
        return RowCase.of(subject, read_points(subject.data, data), per_class=1, seed=0)
    if subject.data in LENGTHS:
        texts = read_texts(subject.data, data, subject.folder.parent)
        return text_case(subject, texts, data, per_class=1, seed=0)
    return None


def _known(
    subject: Subject,
    classifier: Classifier,
    test: CleanSet,
    trigger: Trigger,
    target: int,
    sources: tuple[int, ...],
) -> Known:
    keep = torch.isin(test.labels, torch.tensor(sources)).nonzero()[:, 0]
    order = torch.randperm(len(keep), generator=torch.Generator().manual_seed(0))
    chosen = keep[order[: FITTED + TRIED]]
    return Known(
        name=subject.name,
        network=subject.network,
        attack=subject.attack,
        data=subject.data,
        classifier=classifier,
        trigger=trigger,
        x=test.images[chosen],
        y=test.labels[chosen],
        target=target,
    )
