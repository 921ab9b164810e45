"""Weights that a network keeps in parts become plain ones; it computes the same."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.plain_weights import detached_copy, plain_copy
from undoor.sites import find_sites, shared_copy

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


class Net(nn.Module):
    def __init__(self, wrap: Callable[[nn.Module], object]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)
        for layer in (self.conv, self.fc):
            wrap(layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 2 + 1


def pruned_twice(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.3)
    prune.random_unstructured(layer, "weight", 0.2)
    prune.random_unstructured(layer, "bias", 0.5)


WRAPS: dict[str, Callable[[nn.Module], object]] = {
    "weight norm, old": nn.utils.weight_norm,
    "weight norm": parametrizations.weight_norm,
    "spectral norm, old": nn.utils.spectral_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": lambda m: parametrizations.orthogonal(m) if isinstance(m, nn.Linear) else None,
    "pruned": lambda m: prune.l1_unstructured(m, "weight", 0.3),
    "pruned twice": pruned_twice,
    "structured": lambda m: prune.ln_structured(m, "weight", 0.5, 2, 0),
    "custom": lambda m: parametrize.register_parametrization(m, "weight", Symmetric()),
    "norm of a norm": lambda m: parametrizations.spectral_norm(parametrizations.weight_norm(m)),
}


@pytest.mark.parametrize("name", WRAPS)
@pytest.mark.parametrize("used", [True, False])
def test_the_same_function_of_plain_weights(name: str, used: bool) -> None:
    torch.manual_seed(0)
    network, x = Net(WRAPS[name]), torch.rand(2, 3, 6, 6)
    if used:
        # Leaves weights behind that cannot be copied.
        network(x).sum().backward()
    classifier = Classifier(network, input_shape=(3, 6, 6))
    assert torch.allclose(classifier(x), network.eval()(x), atol=1e-6)
    assert set(classifier.network.state_dict()) == {
        "conv.weight", "conv.bias", "fc.weight", "fc.bias",
    }  # fmt: skip
    assert not any(p.requires_grad for p in classifier.parameters())
    assert find_sites(classifier)
    copy.deepcopy(classifier)


def test_the_original_stays_as_it_is() -> None:
    network = Net(nn.utils.weight_norm)
    keys = set(network.state_dict())
    plain_copy(network)
    assert set(network.state_dict()) == keys
    assert network.training


def test_weights_that_differ_each_time_are_left() -> None:
    class Noise(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight + torch.rand_like(weight)

    network = Net(lambda m: parametrize.register_parametrization(m, "weight", Noise()))
    twin, x = plain_copy(network), torch.rand(2, 3, 6, 6)
    assert not torch.equal(twin(x), twin(x))


def test_a_network_that_keeps_what_it_computed() -> None:
    class Keeps(Net):
        def forward(self, x: Tensor) -> Tensor:
            self.last, self.all = self.conv(x), {"a": self.conv(x)}
            return self.fc(self.last.relu().mean((2, 3)))

    classifier = Classifier(Keeps(lambda m: None), input_shape=(3, 6, 6))
    x = torch.rand(2, 3, 6, 6, requires_grad=True)
    expected = classifier(x)
    for twin in (classifier.fast_copy(), shared_copy(classifier), detached_copy(classifier)):
        assert torch.allclose(twin(x), expected, atol=1e-6)


def test_lazy_layers_without_weights() -> None:
    with pytest.raises(UndoorError, match=r"lazy layers without weights yet \(0\.weight"):
        Classifier(nn.Sequential(nn.LazyConv2d(4, 3)), input_shape=(3, 6, 6))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantising_networks() -> None:
    from torch.ao.quantization import FakeQuantize, default_dynamic_qconfig, quantize_dynamic

    plain = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    int8 = quantize_dynamic(plain, {nn.Linear: default_dynamic_qconfig})
    for network, found in (
        (int8, "Linear in 1"), (nn.Sequential(FakeQuantize(), plain), "FakeQuantize in 0"),
    ):  # fmt: skip
        with pytest.raises(UndoorError, match=rf"floating point.*quantises \({found}"):
            Classifier(network, input_shape=(3, 2, 2))


def test_what_cannot_be_copied() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    network.words = (word for word in "abc")  # type: ignore[assignment]
    with pytest.raises(UndoorError, match=r"cannot be copied .*generator"):
        Classifier(network, input_shape=(3, 2, 2))
