"""Fixtures that more than one test file uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier

torch.set_num_threads(1)


@pytest.fixture
def make_classifier() -> Callable[..., Classifier]:
    """A tiny linear classifier, its inputs and classes as asked for."""

    def make(
        input_shape: tuple[int, ...] = (3, 4, 4), num_classes: int = 3, **options: object
    ) -> Classifier:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            size = int(torch.tensor(input_shape).prod())
            network = nn.Sequential(nn.Flatten(), nn.Linear(size, num_classes))
        return Classifier(network, input_shape=input_shape, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def classifier(make_classifier: Callable[..., Classifier]) -> Classifier:
    """Three classes of 4 x 4 colour images in [0, 1]."""
    return make_classifier()
