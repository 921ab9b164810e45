"""The images of a scan, and which of them a trigger moves where."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from helpers.tiny import CLASSES, clean_images, faint_images, relay_classifier, true_trigger
from undoor.classifier import Classifier
from undoor.inversion.images import find_left, find_sources, flow, split
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


def test_images_of_a_target_serve_its_sources_alone() -> None:
    clean = clean_images()
    known = torch.ones(len(clean), dtype=torch.bool)
    images = split(clean, known, torch.Generator().manual_seed(0))
    assert not set(images.estimate.tolist()) & set(images.held_out.tolist())
    assert images.y[images.pool(2)].unique().tolist() == [0, 1, 3, 4, 5]
    assert images.y[images.pool(2, (0, 2, 4))].unique().tolist() == [0, 4]
    assert set(images.pool(2).tolist()) <= set(images.estimate.tolist())
