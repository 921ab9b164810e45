"""Clean inputs in the mix of classes that flagged inputs seem to have.

Inputs of a few classes differ from those of all not by the trigger alone. Corrections fitted
between the two would undo that difference as well, and spread the few classes over all.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from scipy import stats
from torch import Tensor

from undoor.align.fit import Plan
from undoor.align.flagged import FlaggedBench

# Answers of corrected networks are partly wrong. They are only acted on where so different a mix is
# neither chance nor a few classes taken for others.
SIGNIFICANT = 0.001
LEAST_DIFFERENCE = 0.25
# Each fit on a better mix gives better answers, and so a better mix.
ROUNDS = 4


def match_mix(on: FlaggedBench, plan: Plan, generator: torch.Generator) -> FlaggedBench:
    """The same with clean inputs resampled to the flagged inputs' mix; as it is where theirs is
    not clearly another.

    Nobody knows the classes of flagged inputs: they are those that a network answers whose
    corrections are fitted on them by `plan`, which should be a coarse one, since corrections that
    fit their noise answer by it.
    """
    classes = on.bench.classifier.num_classes
    matched = on
    for done in range(ROUNDS):
        answers = matched.answers(matched.corrected(plan))
        if done == 0 and not is_another_mix(answers, on.labels, classes):
            return on
        rows = resample(on.labels, answers, generator)
        if not len(rows):
            return on
        matched = replace(on, clean=on.clean[rows], labels=on.labels[rows])
    return matched


def is_another_mix(answers: Tensor, labels: Tensor, classes: int) -> bool:
    """Whether the classes in `answers` [m] are surely and by far not in the mix of `labels` [n].

    Pearson's chi-squared test, and the total variation of the two mixes. Classes that no label has
    are left out.

    >>> labels = torch.arange(4).repeat(30)
    >>> is_another_mix(torch.tensor([0, 1] * 10), labels, 4), is_another_mix(labels[:20], labels, 4)
    (True, False)
    """
    own = torch.bincount(labels, minlength=classes).double()
    counts = torch.bincount(answers, minlength=classes).double()[own > 0]
    shares = own[own > 0] / own.sum()
    if counts.sum() == 0 or len(shares) < 2:
        return False
    difference = float((counts / counts.sum() - shares).abs().sum()) / 2
    p_value = stats.chisquare(counts.numpy(), (counts.sum() * shares).numpy()).pvalue
    return difference > LEAST_DIFFERENCE and float(p_value) < SIGNIFICANT


def resample(labels: Tensor, answers: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of about len(labels) inputs whose classes are in the mix of `answers` [m].

    Rows of a class are drawn without repetition while there are any left, then again.

    >>> labels, answers = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 0, 2])
    >>> labels[resample(labels, answers, torch.Generator().manual_seed(0))]
    tensor([0, 0, 0, 0, 2, 2])
    """
    answers = answers[torch.isin(answers, labels)]
    rows = []
    for label in answers.unique().tolist():
        wanted = round(len(labels) * float((answers == label).double().mean()))
        own = (labels == label).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator)]
        rows.append(own.repeat(-(-wanted // len(own)))[:wanted])
    return torch.cat(rows) if rows else labels.new_empty(0)
