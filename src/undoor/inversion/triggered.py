"""A model under a trigger, wherever in the network the trigger acts."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.sites import insert


class Change(Protocol):
    """Anything that changes what a site delivers: triggers do."""

    @property
    def site(self) -> str: ...

    def __call__(self, x: Tensor, /) -> Tensor: ...


def triggered(classifier: Classifier, trigger: Change) -> Classifier:
    """Return the classifier as it answers when every input carries the trigger.

    Weights are shared.
    """
    return insert(classifier, trigger.site, trigger)


def half_triggered(classifier: Classifier, trigger: Change) -> Classifier:
    """Return the same, when the second half of every batch carries the trigger."""

    def change(z: Tensor) -> Tensor:
        clean, other = z.chunk(2)
        return torch.cat([clean, trigger(other)])

    return insert(classifier, trigger.site, change)
