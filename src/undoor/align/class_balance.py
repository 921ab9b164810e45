"""Clean inputs in the class balance that flagged inputs seem to have.

Inputs of a few classes differ from those of all not by the trigger alone. Corrections fitted
between the two would undo that difference as well, and spread the few classes over all.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from undoor.align.fit import Plan
from undoor.align.flagged import FlaggedValidation
from undoor.device import array, from_array, shuffled
from undoor.inversion.counted_step import counted_step
from undoor.journal import Arrays

# Each fit on a better class balance gives better predictions, and so a better class balance.
ROUNDS = 4
# Flagged inputs supposed of each class beside those predicted as it (Jeffreys' prior): that a class
# is missing among a few inputs does not mean that it always will be.
SUPPOSED = 0.5


def match_mix(on: FlaggedValidation, plan: Plan, generator: torch.Generator) -> FlaggedValidation:
    """Resample the clean inputs to the class balance of the flagged ones.

    The classes of flagged inputs are not known. They are estimated as what a network predicts
    whose corrections are fitted on them by `plan`, which should be a coarse one: corrections that
    overfit their noise predict by it.

    Parameters
    ----------
    on
        Clean and flagged inputs.
    plan
        Where to correct, and how finely.
    generator
        The source of chance, on the CPU.
    """

    def compute() -> Arrays:
        rows = _matching_rows(on, plan, generator)
        return {"rows": array(rows), "random_state": array(generator.get_state())}

    validation = on.validation
    arrays = counted_step(
        validation.journal, validation.meter, "flagged-mix", compute, validation.target
    )
    # Where the step is an earlier run's, what follows is to draw as it would have drawn there.
    generator.set_state(from_array(arrays["random_state"]))
    rows = from_array(arrays["rows"], on.labels.device)
    return replace(on, clean=on.clean[rows], labels=on.labels[rows])


def _matching_rows(on: FlaggedValidation, plan: Plan, generator: torch.Generator) -> Tensor:
    matched, task = on, on.validation.classifier.task
    for _ in range(ROUNDS):
        predictions = matched.answers(matched.corrected(plan))
        # Numbers and sets of labels are of as many kinds as there are groups of them.
        both = task.groups(torch.cat([on.labels, predictions]))
        groups, predicted = both[: len(on.labels)], both[len(on.labels) :]
        rows = resample(groups, supposed_shares(predicted, groups), generator)
        matched = replace(on, clean=on.clean[rows], labels=on.labels[rows])
    return rows


def supposed_shares(predictions: Tensor, labels: Tensor) -> dict[int, float]:
    """Estimate the share of inputs of each class from what they are predicted as.

    Parameters
    ----------
    predictions
        [m], the predictions; those that no label has are errors, and left out.
    labels
        [n], classes of clean inputs.

    Returns
    -------
    dict
        For each class among `labels`, its share in [0, 1].

    Examples
    --------
    >>> supposed_shares(torch.tensor([0, 0, 0, 7]), torch.tensor([0, 0, 1, 1]))
    {0: 0.875, 1: 0.125}
    """
    classes, counts = labels.unique(return_counts=True)
    prior = SUPPOSED * len(classes) * counts / len(labels)
    seen = (predictions[:, None] == classes).sum(0) + prior
    return dict(zip(classes.tolist(), (seen / seen.sum()).tolist(), strict=True))


def resample(labels: Tensor, shares: dict[int, float], generator: torch.Generator) -> Tensor:
    """Draw rows of about len(labels) inputs whose classes have these shares.

    Rows of a class are drawn without repetition while there are any left, then again.

    >>> labels = torch.tensor([0, 0, 1, 1, 2, 2])
    >>> labels[resample(labels, {0: 2 / 3, 1: 0.0, 2: 1 / 3}, torch.Generator().manual_seed(0))]
    tensor([0, 0, 0, 0, 2, 2])
    """
    rows = []
    for label, share in shares.items():
        wanted = round(len(labels) * share)
        of_class = (labels == label).nonzero()[:, 0]
        of_class = of_class[shuffled(len(of_class), generator, of_class.device)]
        rows.append(of_class.repeat(-(-wanted // len(of_class)))[:wanted])
    return torch.cat(rows)
