"""Networks without gradients are refused; nothing can be found in them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers.tiny import clean_images, random_classifier, random_inputs, toy_classifier
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.inversion.gradients import require_gradients


class Through(nn.Module):
    """Scores of a linear layer, of what a function makes of the input."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if self.kind == "detach":
            x = x.detach()
        if self.kind == "round":
            x = (x * 255).round()
        if self.kind == "integers":
            x = (x * 255).to(torch.uint8).float()
        return self.out(x)


@pytest.mark.parametrize(
    ("kind", "why"), [("detach", "have none"), ("round", "0 everywhere"), ("integers", "have none")]
)
def test_refused(kind: str, why: str) -> None:
    classifier = Classifier(Through(kind), input_shape=(1, 2, 2))
    with pytest.raises(UndoorError, match=rf"passes a gradient.*{why}.*without torch.no_grad"):
        require_gradients(classifier, torch.rand(5, 1, 2, 2))


def test_a_layer_without_derivative_is_told() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(Once.apply(x.flatten(1)))

    classifier = Classifier(Odd(), input_shape=(1, 2, 2))
    with pytest.raises(UndoorError, match="backward"):
        require_gradients(classifier, torch.rand(5, 1, 2, 2))


@pytest.mark.parametrize("kind", ["conv_norm", "mlp"])
def test_others_pass(kind: str) -> None:
    classifier = random_classifier(kind)
    x = random_inputs(classifier, 40)
    require_gradients(classifier, x)
    assert not x.requires_grad


def test_probabilities_pass() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softmax(1), nn.Identity())
    classifier = Classifier(network, input_shape=(1, 2, 2), output="probabilities")
    require_gradients(classifier, torch.rand(2, 1, 2, 2))


def test_a_rounding_network_is_not_called_clean() -> None:
    bare = toy_classifier(backdoored=True)

    class Rounding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = bare.network

        def forward(self, x: Tensor) -> Tensor:
            return self.net((x * 255).round() / 255)

    classifier = Classifier(Rounding(), input_shape=bare.input_shape)
    with pytest.raises(UndoorError, match="0 everywhere"):
        undoor.scan(classifier, clean_images(5))
