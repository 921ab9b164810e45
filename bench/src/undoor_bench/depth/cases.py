"""The networks whose layers are looked at: those of a zoo, with their true triggers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from undoor_bench.depth.layers import FITTED, TRIED, Known
from undoor_bench.zoo.entries import read_split
from undoor_bench.zoo.planted import planted
from undoor_bench.zoo.subjects import Subject


def known_of_images(subject: Subject, data: Path) -> Iterator[Known]:
    """Yield a model of images once for each of its backdoors.

    Parameters
    ----------
    data
        A folder with DATA.npz, whose test images are used.
    """
    classifier = subject.load()
    test = read_split(data / f"{subject.data}.npz", "test").for_classifier(classifier)
    for backdoor in planted(subject, classifier):
        keep = torch.isin(test.labels, torch.tensor(backdoor.sources)).nonzero()[:, 0]
        order = torch.randperm(len(keep), generator=torch.Generator().manual_seed(0))
        chosen = keep[order[: FITTED + TRIED]]
        yield Known(
            name=subject.name,
            network=subject.network,
            attack=subject.attack,
            data=subject.data,
            classifier=classifier,
            trigger=backdoor.trigger,
            x=test.images[chosen],
            y=test.labels[chosen],
            target=backdoor.target,
        )
