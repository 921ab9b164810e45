"""Pruning of amplifying channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench_helpers.rival_work import CLEAN, NOTHING, backdoored, seeded
from undoor.classifier import Classifier
from undoor.networks import NETWORKS
from undoor_bench.rivals.clp import CLP, clp, lipschitz_bounds

CHANNELS = 16


def network(norm: bool, loud: int | None) -> Classifier:
    """Random convolutions, of which one channel of the second may be ten times as large."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        convs = [nn.Conv2d(1, CHANNELS, 3), nn.Conv2d(CHANNELS, CHANNELS, 3)]
        if loud is not None:
            convs[1].weight.data[loud] *= 10
        layers = [
            part
            for conv in convs
            for part in ((conv, nn.BatchNorm2d(CHANNELS), nn.ReLU()) if norm else (conv, nn.ReLU()))
        ]
        return Classifier(
            nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * CHANNELS, 3)),
            input_shape=(1, 8, 8),
        )


def prune(classifier: Classifier, deviations: float = 3.0) -> Classifier:
    return clp(classifier, CLEAN, NOTHING, seeded(), settings=CLP(deviations))


@pytest.mark.parametrize("norm", [True, False])
def test_the_loud_channel_goes_and_no_other(norm: bool) -> None:
    classifier = network(norm, loud=5)
    out = prune(classifier)
    name = "network.4" if norm else "network.2"
    layer, before = out.get_submodule(name), classifier.get_submodule(name)
    assert not layer.get_parameter("weight")[5].any()
    assert float(layer.get_parameter("bias")[5]) == 0
    others = torch.arange(CHANNELS) != 5
    assert torch.equal(
        layer.get_parameter("weight")[others], before.get_parameter("weight")[others]
    )
    first = "network.1.weight" if norm else "network.0.weight"
    assert torch.equal(out.get_parameter(first), classifier.get_parameter(first))
    images = CLEAN.images[:4]
    assert not torch.allclose(out(images), classifier(images))


@pytest.mark.parametrize("norm", [True, False])
def test_a_network_without_one_is_left_alone(norm: bool) -> None:
    classifier = network(norm, loud=None)
    before = classifier(CLEAN.images)
    assert torch.allclose(prune(classifier)(CLEAN.images), before, atol=1e-6)
    assert not torch.allclose(prune(classifier, 0.5)(CLEAN.images), before, atol=1e-6)


def test_a_loud_norm_counts_like_a_loud_kernel() -> None:
    classifier = network(norm=True, loud=None)
    classifier.get_buffer("network.1.running_var")[3] = 1e-4
    assert float(prune(classifier).get_parameter("network.1.weight")[3]) == 0


def test_bounds_are_gain_times_the_largest_singular_value() -> None:
    classifier = backdoored()
    bounds = lipschitz_bounds(classifier)
    assert list(bounds) == ["network.1", "network.4"]
    kernel = classifier.get_parameter("network.3.weight").numpy()
    norm = classifier.get_submodule("network.4")
    assert isinstance(norm, nn.BatchNorm2d)
    gain = (norm.weight.abs() / (norm.get_buffer("running_var") + norm.eps).sqrt()).numpy()
    for channel, matrix in enumerate(kernel.reshape(16, 12, 9)):
        wanted = gain[channel] * np.linalg.svd(matrix, compute_uv=False)[0]
        assert float(bounds["network.4"][channel]) == pytest.approx(wanted, rel=1e-4)


def test_bounds_hold() -> None:
    """No change of the input of a 1 x 1 layer comes out larger than its bound times that change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        conv = nn.Conv2d(3, 8, 1)
        classifier = Classifier(
            nn.Sequential(conv, nn.Flatten(), nn.Linear(32, 2)), input_shape=(3, 2, 2)
        )
        x, y = torch.rand(2, 50, 3, 2, 2)
    change = (conv(x) - conv(y)).detach().flatten(2).norm(dim=2)
    most = lipschitz_bounds(classifier)["network.0"] * (x - y).flatten(1).norm(dim=1)[:, None]
    assert bool((change <= most + 1e-5).all())


def test_every_hidden_layer_but_the_last_is_judged_once() -> None:
    plain = Classifier(NETWORKS["PlainCNN"](num_classes=3, width=4), input_shape=(3, 32, 32))
    assert len(lipschitz_bounds(plain)) == 4
    resnet = Classifier(NETWORKS["ResNet9"](num_classes=3, width=4), input_shape=(3, 32, 32))
    norms = [n for n, m in resnet.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert sorted(lipschitz_bounds(resnet)) == sorted(norms)


def test_a_norm_that_follows_no_layer_counts_by_itself() -> None:
    layers = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(576, 2)
    )
    layers.get_parameter("2.weight").data[7] = 20
    classifier = Classifier(layers, input_shape=(1, 8, 8))
    assert list(lipschitz_bounds(classifier)) == ["network.0", "network.2"]
    assert float(prune(classifier).get_parameter("network.2.weight")[7]) == 0


def test_needs_no_data() -> None:
    images = type(CLEAN)(torch.zeros(0, 1, 8, 8), torch.zeros(0).long())
    out = clp(network(True, 5), images, NOTHING, seeded())
    assert torch.equal(out(CLEAN.images), prune(network(True, 5))(CLEAN.images))
