"""To what a search is limited from the beginning: some classes, labels by the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.inversion.goals import Goals, with_control
from undoor.inversion.smaller import FirstLook
from undoor.scan.coverage import Gap
from undoor.vocabulary import LABELS_BY_MODEL, RANKED_FIRST, SMALLER_INPUTS, SOME_TARGETS

# Of the draw of the classes to compare with.
SEED = 0


def goals_of(classifier: Classifier, targets: Sequence[int] | None) -> Goals | None:
    """Return the classes that are searched where some are asked for; None for all.

    Parameters
    ----------
    classifier
        The model.
    targets
        Those asked for; all where none are given.
    """
    if targets is None or len(set(targets)) == classifier.num_classes:
        return None
    # Not that of the scan, whose other draws stay what they are without this one.
    generator = torch.Generator().manual_seed(SEED)
    return with_control(targets, classifier.num_classes, generator)


def limits_of(look: FirstLook, clean: CleanSet) -> tuple[Gap, ...]:
    """Return to what a search is limited, as gaps of its verdict."""
    return tuple(_limits(look, clean))


def _limits(look: FirstLook, clean: CleanSet) -> Iterator[Gap]:
    goals, classes = look.full.goals, look.full.classifier.num_classes
    if goals is not None and goals.ranked:
        yield Gap(RANKED_FIRST, (), (len(goals.searched),), (classes,))
    elif goals is not None:
        yield Gap(SOME_TARGETS, (), (len(goals.asked), len(goals.control)), (classes,))
    if look.smaller:
        small, full = (each.classifier.input_shape for each in (look.work, look.full))
        yield Gap(SMALLER_INPUTS, (), small, full)
    if clean.by_model:
        yield Gap(LABELS_BY_MODEL)
