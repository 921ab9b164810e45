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
    def site(self) -> str:
        """The module whose output is changed."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Return the changed inputs or activations."""


def triggered(classifier: Classifier, trigger: Change) -> Classifier:
    """Return a classifier of inputs that all carry the trigger; weights are shared."""
    return insert(classifier, trigger.site, trigger)


def half_triggered(classifier: Classifier, trigger: Change) -> Classifier:
    """Return a classifier of batches whose second half carries the trigger; weights are shared."""

    def change(z: Tensor) -> Tensor:
        clean, other = z.chunk(2)
        return torch.cat([clean, trigger(other)])

    return insert(classifier, trigger.site, change)
