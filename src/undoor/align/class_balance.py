"""Clean inputs in the mix of classes that flagged inputs seem to have.

Inputs of a few classes differ from those of all not by the trigger alone. Corrections fitted
between the two would undo that difference as well, and spread the few classes over all.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from undoor.align.fit import Plan
from undoor.align.flagged import FlaggedValidation
from undoor.device import shuffled

# Each fit on a better mix gives better answers, and so a better mix.
ROUNDS = 4
# Of each class, so many flagged inputs are supposed beside those that are answered so (Jeffreys'
# prior): that a class is missing among a few inputs does not say that it always will be.
SUPPOSED = 0.5


def match_mix(on: FlaggedValidation, plan: Plan, generator: torch.Generator) -> FlaggedValidation:
    """Return the same with clean inputs resampled to the mix of the flagged ones.

    Nobody knows the classes of flagged inputs: they are those that a network answers whose
    corrections are fitted on them by `plan`, which should be a coarse one, since corrections that
    fit their noise answer by it.
    """
    matched = on
    for _ in range(ROUNDS):
        shares = supposed_shares(matched.answers(matched.corrected(plan)), on.labels)
        rows = resample(on.labels, shares, generator)
        matched = replace(on, clean=on.clean[rows], labels=on.labels[rows])
    return matched


def supposed_shares(answers: Tensor, labels: Tensor) -> dict[int, float]:
    """Return for each class among `labels` [n], the share of inputs thought to be of it, by
    `answers` [m].

    Answers that no label has are errors, and left out.

    >>> supposed_shares(torch.tensor([0, 0, 0, 7]), torch.tensor([0, 0, 1, 1]))
    {0: 0.875, 1: 0.125}
    """
    classes, counts = labels.unique(return_counts=True)
    prior = SUPPOSED * len(classes) * counts / len(labels)
    seen = (answers[:, None] == classes).sum(0) + prior
    return dict(zip(classes.tolist(), (seen / seen.sum()).tolist(), strict=True))


def resample(labels: Tensor, shares: dict[int, float], generator: torch.Generator) -> Tensor:
    """Rows of about len(labels) inputs whose classes have these shares.

    Rows of a class are drawn without repetition while there are any left, then again.

    >>> labels = torch.tensor([0, 0, 1, 1, 2, 2])
    >>> labels[resample(labels, {0: 2 / 3, 1: 0.0, 2: 1 / 3}, torch.Generator().manual_seed(0))]
    tensor([0, 0, 0, 0, 2, 2])
    """
    rows = []
    for label, share in shares.items():
        wanted = round(len(labels) * share)
        own = (labels == label).nonzero()[:, 0]
        own = own[shuffled(len(own), generator, own.device)]
        rows.append(own.repeat(-(-wanted // len(own)))[:wanted])
    return torch.cat(rows)
