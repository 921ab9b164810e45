"""Which images a trigger moves, and where to."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from helpers.tiny import CLASSES, faint_images, relay_classifier, true_trigger
from undoor.classifier import Classifier
from undoor.inversion.trigger_effects import find_left, find_sources, flow
from undoor.triggers import Stamp


class Steps(nn.Module):
    """Class 0 up to 0.5 and class 1 beyond."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.full_like(x[:, 0], 0.5), x[:, 0], 0 * x[:, 0]], 1)


def idle_trigger() -> Stamp:
    """Adds nothing to an input of one feature."""
    return replace(true_trigger(), mask=torch.zeros(1), pattern=torch.zeros(1), mode="add")


def test_find_sources() -> None:
    """Half of a class's images suffice, fewer do not, and the target is none."""
    classifier, trigger = Classifier(Steps(), input_shape=(1,)), idle_trigger()
    values = [0.9, 0.9, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]
    labels = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2]
    x = torch.tensor(values)[:, None]
    assert find_sources(classifier, x, torch.tensor(labels), trigger, target=1) == (0,)
    assert find_sources(classifier, x, torch.tensor(labels), trigger, target=0) == (2,)
    assert find_sources(classifier, x, torch.tensor(labels), trigger, target=2) == ()


def test_flow_by_hand() -> None:
    """Shares of each class, and zeros for one without images."""
    x = torch.tensor([0.9, 0.1, 0.1, 0.1, 0.9])[:, None]
    moved = flow(
        Classifier(Steps(), input_shape=(1,)), x, torch.tensor([0, 0, 0, 0, 1]), idle_trigger()
    )
    assert moved.tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]


def test_flow_of_a_backdoor() -> None:
    moves = {0: 5, 3: 1}
    clean = faint_images()
    moved = flow(relay_classifier(moves), clean.images, clean.labels, true_trigger())
    expected = torch.eye(CLASSES)
    for source, target in moves.items():
        expected[source, source], expected[source, target] = 0, 1
    assert torch.equal(moved, expected)


def test_classes_that_a_trigger_makes_leave() -> None:
    """Wherever their images go: half of those of class 0 and all of class 2."""
    classifier, trigger = Classifier(Steps(), input_shape=(1,)), idle_trigger()
    x = torch.tensor([0.1, 0.9, 0.9, 0.9, 0.1, 0.9])[:, None]
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    assert find_left(classifier, x, y, trigger, minimum=0.5) == (0, 2)
    assert find_left(classifier, x, y, trigger, minimum=0.6) == (2,)
