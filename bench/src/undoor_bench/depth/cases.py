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
from undoor_bench.zoo.entries import read_split
from undoor_bench.zoo.planted import planted
from undoor_bench.zoo.row_data import TABLES, read_rows
from undoor_bench.zoo.subjects import Subject


def known_of(subject: Subject, data: Path) -> Iterator[Known]:
    """Yield a model of images or of rows once for each of its backdoors.

    Parameters
    ----------
    data
        A folder with the data sets, whose test part is used.
    """
    if subject.data in TABLES:
        yield from _of_rows(subject, data)
        return
    classifier = subject.load()
    test = read_split(data / f"{subject.data}.npz", "test").for_classifier(classifier)
    for each in planted(subject, classifier):
        yield _known(subject, classifier, test, each.trigger, each.target, each.sources)


def _of_rows(subject: Subject, data: Path) -> Iterator[Known]:
    case = RowCase.of(subject, read_rows(subject.data, data), per_class=1, seed=0)
    assert case.trigger is not None
    sources = tuple(k for k in range(case.classifier.num_classes) if k not in subject.targets)
    for target in subject.targets:
        yield _known(subject, case.classifier, case.test, case.trigger, target, sources)


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
