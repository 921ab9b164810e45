"""Scores behind a sigmoid become logits; nothing else is taken for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError

SHAPE = (3, 4, 4)


class Returns(nn.Module):
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.change = body(), change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.body(x))


class Squeezed(nn.Module):
    """A sigmoid inside that is registered last."""

    def __init__(self, final: bool) -> None:
        super().__init__()
        self.conv, self.fc, self.gate, self.final = nn.Conv2d(3, 3, 1), body(), nn.Sigmoid(), final

    def forward(self, x: Tensor) -> Tensor:
        out = self.fc(self.conv(x) * self.gate(x))
        return self.gate(out) if self.final else out


def body() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 4))


def make(network: nn.Module, **options: Any) -> Classifier:
    return Classifier(network, input_shape=SHAPE, **options)


SCORES: dict[str, Callable[[], nn.Module]] = {
    "module": lambda: nn.Sequential(body(), nn.Sigmoid()),
    "function": lambda: Returns(torch.sigmoid),
    "one sigmoid for two": lambda: Squeezed(True),
    "inner module": lambda: nn.Sequential(nn.Sequential(body(), nn.Sigmoid())),
    "TorchScript": lambda: torch.jit.trace(
        nn.Sequential(body(), nn.Sigmoid()), torch.rand(1, *SHAPE)
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", SCORES)
def test_scores_become_logits(name: str) -> None:
    network, x = SCORES[name]().eval(), torch.rand(5, *SHAPE)
    logits = make(network, output="sigmoid")(x)
    assert torch.allclose(logits.sigmoid(), network(x), atol=1e-6)
    for output, why in (("logits", "stay between 0 and 1"), ("probabilities", "do not sum to 1")):
        with pytest.raises(UndoorError, match=rf"{why}.*set output = 'sigmoid'"):
            make(network, output=output)


def test_sure_scores_keep_a_gradient() -> None:
    """Behind a module, scores of exactly 0 and 1 are logits of any size."""
    network = nn.Sequential(body(), nn.Sigmoid())
    with torch.no_grad():
        network.get_parameter("0.1.weight").mul_(1e3)
    x = torch.rand(2, *SHAPE, requires_grad=True)
    make(network, output="sigmoid")(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.abs().sum() > 0)


def test_scores_of_0_and_1_are_finite() -> None:
    out = make(Returns(lambda out: (out > 0).float() + 0 * out), output="sigmoid")(
        torch.rand(3, *SHAPE)
    )
    assert bool(out.isfinite().all())


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (body, "do not lie between 0 and 1; set output = 'logits'"),
        (lambda: nn.Sequential(body(), nn.Softmax(1)), "sum to 1; set output = 'probabilities'"),
        (lambda: Squeezed(False), "set output = 'logits'"),
    ],
)
def test_promised_in_vain(network: Callable[[], nn.Module], why: str) -> None:
    with pytest.raises(UndoorError, match=why):
        make(network(), output="sigmoid")


def test_small_logits_are_no_scores() -> None:
    """Two classes whose logits lie between 0 and 1 on what is usual."""
    network = body()
    with torch.no_grad():
        network.get_parameter("1.weight").mul_(0.01)
        network.get_parameter("1.bias").fill_(0.4)
    assert make(network).num_classes == 4
    assert make(Squeezed(False)).num_classes == 4
    with torch.no_grad():
        network.get_parameter("1.weight").zero_()
    assert make(network).num_classes == 4
