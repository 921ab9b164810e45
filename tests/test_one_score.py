"""Networks with one score per input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.sites.heads import find_heads

SHAPE = (3, 4, 4)


def body(outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, outputs))


class Function(nn.Module):
    """A network whose last operation is no module."""

    def __init__(self, last: Any) -> None:
        super().__init__()
        self.body, self.last = body(), last

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.body(x))
        return out


def made(network: nn.Module, output: str) -> Classifier:
    return Classifier(network, input_shape=SHAPE, output=output)  # type: ignore[arg-type]


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "[N, 1]": (body, "logit"),
    "[N]": (lambda: Function(lambda z: z.squeeze(1)), "logit"),
    "sigmoid module": (lambda: nn.Sequential(body(), nn.Sigmoid()), "probability"),
    "sigmoid function": (lambda: Function(torch.sigmoid), "probability"),
    "sigmoid of [N]": (lambda: Function(lambda z: z.squeeze(1).sigmoid()), "probability"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_one_score_is_two_classes(name: str) -> None:
    network, output = NETWORKS[name]
    classifier, x = made(network(), output), torch.rand(9, *SHAPE)
    score = body()(x)
    assert classifier.num_classes == 2
    assert torch.allclose(classifier(x).diff(dim=1), score, atol=1e-5)
    assert torch.equal(classifier.predict(x), (score[:, 0] > 0).long())


def test_the_last_layer_is_found_behind_a_sigmoid() -> None:
    """So that no family of triggers and no place of corrections is missing."""
    for output in ("logit", "probability"):
        end = [nn.Sigmoid()] if output == "probability" else []
        assert find_heads(made(nn.Sequential(*body(), *end), output))


@pytest.mark.parametrize(
    ("network", "output", "message"),
    [
        (body(3), "logit", r"one score per input, \[N, 1\] or \[N\], got \(2, 3\)"),
        (body(), "probability", "do not lie between 0 and 1; set output = 'logit'"),
        (nn.Sequential(body(), nn.Sigmoid()), "logit", "set output = 'probability'"),
        (body(), "logits", "say output = 'logit' or 'probability'"),
        (body(), "score", "output must be one of 'logits', .*'probability', got 'score'"),
    ],
)
def test_other_outputs_are_refused(network: nn.Module, output: str, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        made(network, output)


def test_a_network_that_fails_says_why() -> None:
    with pytest.raises(UndoorError, match="mat1 and mat2"):
        made(nn.Sequential(nn.Flatten(), nn.Linear(5, 1)), "logit")
