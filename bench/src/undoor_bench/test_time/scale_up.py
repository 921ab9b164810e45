"""SCALE-UP: predictions for triggered inputs survive when all pixels are amplified."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.test_time.detector import BATCH, Score, in_batches, own_copy


@dataclass(frozen=True)
class Settings:
    """Settings of SCALE-UP: `factors` of pixels, each above 1, as in the authors' toolbox."""

    factors: tuple[float, ...] = (3, 5, 7, 9, 11)


def scale_up(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    settings: Settings | None = None,
) -> Score:
    """SCALE-UP of Guo et al. (ICLR 2023, arXiv 2302.03251), data-limited.

    Score: the scaled prediction consistency (the share of amplified copies that get the input's
    own label), less its mean over the clean images of that label's class and divided by their
    standard deviation. An amplified copy is `low + factor * (x - low)`, cut off
    at the highest raw value, which is the paper's for bounds of [0, 1].

    Not in the paper: classes with fewer than two clean images use the statistics of all images, and
    a deviation is at least that of rounding to the steps of a share, since consistencies that are
    all equal have none. `generator` is not used; nothing is drawn.

    Raises
    ------
    UndoorError
        The clean set does not fit, or there is no factor or one that is not above 1.
    """
    settings = settings or Settings()
    _require_valid(settings)
    network, fitted = own_copy(classifier, clean)
    shares = [consistency(network, x, settings.factors)[0] for x in fitted.images.split(BATCH)]
    mean, deviation = _class_statistics(
        torch.cat(shares), fitted.labels, network.num_classes, step=1 / len(settings.factors)
    )

    def score(x: Tensor) -> Tensor:
        share, labels = consistency(network, x, settings.factors)
        return (share - mean[labels]) / deviation[labels]

    return in_batches(network, score)


@torch.no_grad()
def consistency(
    classifier: Classifier, x: Tensor, factors: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Return how consistent predictions stay under amplification [N], and the predictions [N].

    The consistency of a raw input [N, ...] is the share of its amplified copies, in [0, 1], that
    are predicted as the input itself is.
    """
    low, high = classifier.bounds
    labels = classifier(x).argmax(1)
    same = [
        classifier((low + factor * (x - low)).clamp(low, high)).argmax(1) == labels
        for factor in factors
    ]
    return torch.stack(same).double().mean(0), labels


def scale_up_data_free(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    settings: Settings | None = None,
) -> Score:
    """Return the authors' other variant: the bare scaled prediction consistency, in [0, 1].

    Where clean images of the target keep their label when amplified, as those of a backdoored
    network's often do, the comparison with them costs `scale_up` what this one still sees. `clean`
    is checked, but not used; `generator` is not used.

    Raises
    ------
    UndoorError
        As `scale_up` does.
    """
    settings = settings or Settings()
    _require_valid(settings)
    network, _ = own_copy(classifier, clean)
    return in_batches(network, lambda x: consistency(network, x, settings.factors)[0])


def _require_valid(settings: Settings) -> None:
    if not settings.factors or min(settings.factors) <= 1:
        raise UndoorError(
            f"factors must be numbers above 1, got {settings.factors}; try 3, 5, 7, 9 and 11"
        )


def _class_statistics(
    shares: Tensor, labels: Tensor, classes: int, *, step: float
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [K] of the shares of each class."""
    smallest = step / math.sqrt(12)
    mean = shares.mean().repeat(classes)
    deviation = shares.std(correction=0).clamp_min(smallest).repeat(classes)
    for number in range(classes):
        of_class = shares[labels == number]
        if len(of_class) > 1:
            mean[number], deviation[number] = of_class.mean(), of_class.std().clamp_min(smallest)
    return mean, deviation
