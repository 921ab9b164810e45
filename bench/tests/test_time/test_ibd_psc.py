"""IBD-PSC."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.tiny import random_classifier, random_inputs, storages
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.test_time.ibd_psc import Settings, amplified, first_amplified, ibd_psc

NONE = torch.Generator()


def deep(norms: int = 4, seed: int = 0) -> Classifier:
    """As many batch norms, whose shifts decide a lot, and answers of more than one class."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blocks = [
            layer for _ in range(norms) for layer in (nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh())
        ]
        network = nn.Sequential(*blocks, nn.Linear(6, 3))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 1.0
                nn.init.normal_(module.bias, std=1)
        # Running statistics are those of such inputs.
        network.train()(torch.rand(500, 6))
        return Classifier(network, input_shape=(6,))


def norms_of(classifier: Classifier) -> list[str]:
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    return [name for name, module in classifier.named_modules() if isinstance(module, norms)]


def by_hand(classifier: Classifier, names: list[str], omega: float) -> Classifier:
    """Parameters multiplied, as the paper has it."""
    twin = copy.deepcopy(classifier)
    for name in names:
        norm = twin.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        norm.weight.data *= omega
        norm.bias.data *= omega
    return twin


def own_answers(classifier: Classifier, count: int = 80) -> CleanSet:
    x = random_inputs(classifier, count)
    return CleanSet(x, classifier.predict(x))


@pytest.mark.parametrize("kind", ["conv_norm", "mlp_norm"])
def test_amplified_parameters_are_amplified_outputs(kind: str) -> None:
    classifier = random_classifier(kind)
    x, names = random_inputs(classifier, 9), norms_of(classifier)[-1:]
    twin = amplified(classifier, names, 1.5)
    assert torch.allclose(twin(x), by_hand(classifier, names, 1.5)(x), atol=1e-5)
    assert not torch.allclose(twin(x), classifier(x), atol=1e-2)
    assert storages(twin) == storages(classifier)


@pytest.mark.parametrize("seed", range(3))
def test_layers_are_chosen_by_errors_on_clean_images(seed: int) -> None:
    classifier = deep(seed=seed)
    clean, names = own_answers(classifier), norms_of(classifier)
    errors = [
        float(
            (by_hand(classifier, names[-k:], 9).predict(clean.images) != clean.labels)
            .float()
            .mean()
        )
        for k in range(1, 5)
    ]
    for wanted in [0.01, *(error - 1e-3 for error in errors if error > 0.02)]:
        expected = next(k for k in range(1, 5) if errors[k - 1] > wanted)
        assert first_amplified(classifier, names, clean, Settings(9, 2, wanted)) == expected
    never = Settings(9, 2, max(errors) + 1e-3)
    assert first_amplified(classifier, names, clean, never) == 3


def test_the_score_by_hand() -> None:
    classifier = deep()
    clean, names = own_answers(classifier), norms_of(classifier)
    x = random_inputs(classifier, 11, seed=4)
    settings = Settings(2.0, 2, 0.1)
    first = first_amplified(classifier, names, clean, settings)
    assert first < 4
    labels = classifier.predict(x)
    expected = torch.stack(
        [
            F.softmax(by_hand(classifier, names[-k:], 2.0)(x), 1)[torch.arange(11), labels]
            for k in (first, first + 1)
        ]
    ).mean(0)
    assert torch.allclose(
        ibd_psc(classifier, clean, NONE, settings)(x).float(), expected, atol=1e-5
    )


def test_fewer_layers_than_amplified_networks() -> None:
    classifier = deep(norms=2)
    clean, names = own_answers(classifier), norms_of(classifier)
    x = random_inputs(classifier, 11, seed=4)
    labels = classifier.predict(x)
    never = Settings(1.001, 5, 0.9)
    expected = torch.stack(
        [
            F.softmax(by_hand(classifier, names[-k:], 1.001)(x), 1)[torch.arange(11), labels]
            for k in (1, 2)
        ]
    ).mean(0)
    assert torch.allclose(ibd_psc(classifier, clean, NONE, never)(x).float(), expected, atol=1e-5)


def test_layers_stand_in_the_order_of_execution() -> None:
    """Not in that of their names: here the last batch norm was registered first."""

    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late = nn.BatchNorm1d(6)
            self.early = nn.BatchNorm1d(6)
            self.head = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.late(self.early(x).tanh()).tanh())

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = Classifier(Backwards(), input_shape=(6,))
    clean = own_answers(classifier)
    x = random_inputs(classifier, 11, seed=4)
    labels = classifier.predict(x)
    settings = Settings(5.0, 1, 1e-6)
    late = by_hand(classifier, ["network.late"], 5.0)
    early = by_hand(classifier, ["network.early"], 5.0)
    assert bool((late.predict(clean.images) != clean.labels).any())
    score = ibd_psc(classifier, clean, NONE, settings)(x).float()
    rows = torch.arange(11)
    assert torch.allclose(score, F.softmax(late(x), 1)[rows, labels], atol=1e-5)
    assert not torch.allclose(score, F.softmax(early(x), 1)[rows, labels], atol=1e-3)


@pytest.mark.parametrize("kind", ["conv", "mlp"])
def test_without_batch_norms(kind: str) -> None:
    classifier = random_classifier(kind)
    with pytest.raises(UndoorError, match="got one without; use strip or scale_up"):
        ibd_psc(classifier, own_answers(classifier), NONE)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(omega=1.0), "omega must be above 1"),
        (Settings(models=0), "models must be at least 1"),
        (Settings(error=1.0), "error must be in"),
    ],
)
def test_settings_out_of_range(settings: Settings, said: str) -> None:
    classifier = deep()
    with pytest.raises(UndoorError, match=said):
        ibd_psc(classifier, own_answers(classifier), NONE, settings)
