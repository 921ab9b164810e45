"""Pruning of sensitive neurons."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bench_helpers.rival_work import CLEAN, NOTHING, TEST, acc, backdoored, seeded
from helpers.tiny import random_classifier, random_inputs
from undoor.classifier import Classifier
from undoor_bench.rivals.anp import ANP, anp, learn_masks, pruned
from undoor_bench.rivals.common import accuracy, hold_out

SOME = ANP(steps=150)


class Sensitive(nn.Module):
    """Two features that tell the classes apart, and one that is nearly 0 on clean inputs but
    drowns them as soon as its bias is off."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3) if norm else nn.Identity()
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0], [1.0, 1.0]]))
            self.hidden.bias.zero_()
            last = self.norm if norm else self.hidden
            last.get_parameter("bias").copy_(torch.tensor([0.0, 0.0, -1.0]))
            self.head.weight.copy_(torch.tensor([[1.0, -1.0, 40.0], [-1.0, 1.0, -40.0]]))
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.hidden(x)).relu())


def separable() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs whose two values add up to 0.9: the third feature is -0.1, below its ReLU."""
    first = torch.rand(80, generator=seeded()) * 0.9
    first = torch.where((first - 0.45).abs() < 0.05, first + 0.1, first).clamp(0, 0.9)
    return torch.stack([first, 0.9 - first], 1), (first < 0.45).long()


@pytest.mark.parametrize("norm", [False, True])
def test_the_mask_of_a_sensitive_neuron_falls(norm: bool) -> None:
    images, labels = separable()
    classifier = Classifier(Sensitive(norm), input_shape=(2,))
    clean = type(CLEAN)(images, labels)
    assert accuracy(classifier, clean) == 1
    (masks,) = learn_masks(classifier, clean, seeded(), SOME).values()
    assert float(masks[2]) < 0.2
    assert float(masks[:2].min()) > 0.8


def test_the_layers_are_those_of_the_norms_or_else_of_the_maps() -> None:
    names = [set(learn_masks(backdoored(n), CLEAN, seeded(), ANP(steps=1))) for n in (True, False)]
    assert names == [{"network.1", "network.4"}, {"network.0", "network.2"}]


def test_masks_lie_between_0_and_1_and_start_there() -> None:
    for steps in (0, 20):
        masks = learn_masks(backdoored(), CLEAN, seeded(), ANP(steps=steps))
        values = torch.cat(list(masks.values()))
        assert bool(((values >= 0) & (values <= 1)).all())
        assert steps > 0 or bool((values == 1).all())


@pytest.mark.parametrize("kind", ["conv_norm", "conv", "mlp_norm", "mlp"])
def test_a_pruned_neuron_gives_its_bias(kind: str) -> None:
    classifier = random_classifier(kind)
    name = "network.1" if kind.endswith("norm") else "network.0"
    layer = classifier.get_submodule(name)
    channels = len(layer.get_parameter("bias"))
    mask = torch.tensor([0.1] + [1.0] * (channels - 1))
    out = pruned(classifier, {name: mask}, 0.2)
    changed: list[torch.Tensor] = []
    given: list[torch.Tensor] = []
    for model, store in ((out, changed), (classifier, given)):
        twin = copy.deepcopy(model)
        twin.get_submodule(name).register_forward_hook(lambda _m, _i, z, s=store: s.append(z))
        twin(random_inputs(classifier, 5))
    constant = layer.get_parameter("bias")[0]
    assert torch.allclose(changed[0][:, 0], constant.expand_as(changed[0][:, 0]), atol=1e-6)
    assert torch.allclose(changed[0][:, 1:], given[0][:, 1:], atol=1e-6)
    untouched = pruned(classifier, {name: mask}, 0.05).get_submodule(name)
    assert torch.equal(untouched.get_parameter("weight"), layer.get_parameter("weight"))


def test_the_threshold_stays_within_the_allowed_drop_of_held_out_accuracy() -> None:
    classifier = backdoored()
    for drop in (0.0, 0.2):
        settings = ANP(steps=100, noise=0.6, allowed_drop=drop)
        out = anp(classifier, CLEAN, NOTHING, seeded(), settings=settings)
        _, held = hold_out(CLEAN, settings.held_out, seeded())
        assert accuracy(out, held) >= accuracy(classifier, held) - drop
    # And it is the highest: the next one up falls below.
    generator = seeded()
    learning, held = hold_out(CLEAN, settings.held_out, generator)
    masks = learn_masks(classifier, learning, generator, settings)
    allowed = accuracy(classifier, held) - settings.allowed_drop
    kept = [accuracy(pruned(classifier, masks, k / 20), held) >= allowed for k in range(1, 20)]
    last = kept.index(False) if False in kept else 19
    best = pruned(classifier, masks, last / 20)
    assert torch.equal(best(TEST.images), out(TEST.images))


@pytest.mark.parametrize("norm", [False, True])
def test_closes_the_way_through_a_sensitive_neuron(norm: bool) -> None:
    """Inputs that are larger in both values open it and all go to class 0."""
    images, labels = separable()
    classifier = Classifier(Sensitive(norm), input_shape=(2,))
    out = anp(classifier, type(CLEAN)(images, labels), NOTHING, seeded(), settings=SOME)
    for model, share in ((classifier, 0.0), (out, 1.0)):
        answers = model.predict(images[labels == 1] + 0.3)
        assert float((answers == 1).float().mean()) == share
    assert accuracy(out, type(CLEAN)(images, labels)) == 1


def test_a_trained_network_keeps_its_accuracy() -> None:
    out = anp(backdoored(), CLEAN, NOTHING, seeded())
    assert acc(out) > 0.9
