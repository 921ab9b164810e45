"""Whether gradients are those of the predictions, along lines of two lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.scrutiny.gradients import ask_gradients

SHAPE = (1, 64)


class Bent(nn.Module):
    """Scores with waves so short that the usual lines cross several of them."""

    def __init__(self, waves: float, *, straight_through: bool = False) -> None:
        super().__init__()
        self.waves, self.straight_through = waves, straight_through
        self.head = nn.Linear(64, 3)
        nn.init.normal_(self.head.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Tensor) -> Tensor:
        z = (self.waves * x.flatten(1)).sin()
        if self.straight_through:  # The gradients are those of the identity.
            z = x.flatten(1) + (z - x.flatten(1)).detach()
        return self.head(z)


def asked(network: nn.Module) -> list[str]:
    classifier = Classifier(network, input_shape=SHAPE, bounds=(-1.0, 1.0), space="signals")
    x = 0.5 * torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    return [item.code for item in ask_gradients(classifier, x)]


def test_a_network_that_bends_on_the_usual_lines_is_not_doubted() -> None:
    assert asked(Bent(5.0)) == []
    assert asked(Bent(400.0)) == []


def test_gradients_of_another_network_are_wrong_on_lines_of_any_length() -> None:
    assert asked(Bent(400.0, straight_through=True)) == ["gradient"]
    assert asked(Bent(5.0, straight_through=True)) == ["gradient"]


def test_scores_in_steps_have_other_gradients() -> None:
    """Even where most short lines lie on one step."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            z = self.head(x.flatten(1))
            return z + ((z / 0.05).round() * 0.05 - z).detach()

    assert asked(Steps()) == ["gradient"]
