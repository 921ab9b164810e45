"""What the network itself takes for a class, and a network that may not be moved that way."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from helpers.scan_work import work_on
from helpers.tiny import (
    CLASSES,
    TARGET,
    assert_unchanged,
    clean_images,
    faint_images,
    random_classifier,
    random_inputs,
    relay_classifier,
    snapshot,
    storages,
    toy_classifier,
)
from undoor.classifier import Classifier
from undoor.inversion.class_directions import BATCH, ClassDirections, barred
from undoor.scan.screen import screen
from undoor.sites.heads import Head

ALL_TO_ONE = {label: TARGET for label in range(CLASSES) if label != TARGET}


def linear(inputs: int = 2, classes: int = 2) -> Classifier:
    """One layer, which hands its first features on."""
    layer = nn.Linear(inputs, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(classes, inputs))
        layer.bias.zero_()
    return Classifier(layer, input_shape=(inputs,))


# Directions


def test_directions_by_hand() -> None:
    """Unit vectors to the mean of each class, whatever the number of its images."""
    x = torch.tensor([[0.2, 0.0], [0.4, 0.0], [0.3, 0.8], [0.3, 0.8], [0.3, 0.8]])
    own = ClassDirections.of(linear(), x, torch.tensor([0, 0, 1, 1, 1]))
    assert own is not None
    (read,) = own.heads
    assert read.head.name == "network"
    assert torch.allclose(read.values, x)
    assert torch.allclose(read.directions, torch.tensor([[0.0, -1.0], [0.0, 1.0]]), atol=1e-6)


def test_directions_lead_from_the_middle() -> None:
    x = torch.tensor([[0.9, 0.1], [0.1, 0.1], [0.1, 0.7]])
    own = ClassDirections.of(linear(2, 3), x, torch.arange(3))
    assert own is not None
    away = x - x.mean(0)
    assert torch.allclose(own.heads[0].directions, away / away.norm(dim=1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_class_without_images_lies_where_its_score_rises(pooled: bool) -> None:
    """Whether the layer reads features or a map that is pooled behind it."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 4, generator=generator)
    linear_map: nn.Conv2d | nn.Linear = nn.Conv2d(4, 3, 1) if pooled else nn.Linear(4, 3)
    with torch.no_grad():
        linear_map.weight.copy_(weight.view_as(linear_map.weight))
    shape = (4, 2, 2) if pooled else (4,)
    pooling = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if pooled else []
    classifier = Classifier(nn.Sequential(linear_map, *pooling), input_shape=shape)
    x = torch.rand(6, *shape, generator=generator)
    some, every = (
        ClassDirections.of(classifier, x, y) for y in (torch.arange(6) % 2, torch.arange(6) % 3)
    )
    assert some is not None
    assert every is not None
    expected = weight - weight.mean(0)
    (read,) = some.heads
    assert read.directions.shape == every.heads[0].directions.shape == (3, 4)
    assert torch.allclose(read.directions[2], expected[2] / expected[2].norm(), atol=1e-5)
    assert not read.directions.requires_grad
    # Those of the others are as without that class.
    features = x.flatten(2).mean(2) if pooled else x
    away = features[::2].mean(0) - features[1::2].mean(0)
    assert torch.allclose(read.directions[0], away / away.norm(), atol=1e-5)


def test_features_are_what_the_head_reads() -> None:
    """Of all images, in their order, however many batches they take; the model stays as it is."""
    classifier = random_classifier("conv_norm")
    x = random_inputs(classifier, BATCH + 10)
    before = snapshot(classifier)
    own = ClassDirections.of(classifier, x, torch.arange(len(x)) % 4)
    assert own is not None
    (read,) = own.heads
    assert read.head.name == "network.5"
    layer = classifier.get_submodule(read.head.name)
    assert read.values.shape == (len(x), 16)
    assert torch.allclose(layer(read.values), classifier(x), atol=1e-5)
    assert not read.values.requires_grad
    assert_unchanged(classifier, before)


def test_no_directions_without_a_linear_head() -> None:
    class Distances(nn.Module):
        """Scores are distances to stored features."""

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(12, 5)
            self.centres = nn.Parameter(torch.randn(4, 5))

        def forward(self, x: Tensor) -> Tensor:
            features = self.body(x.flatten(1)).relu()
            return -torch.cdist(features, self.centres)

    classifier = Classifier(Distances(), input_shape=(3, 2, 2))
    x = random_inputs(classifier, 8)
    assert ClassDirections.of(classifier, x, torch.arange(8) % 4) is None


def test_directions_of_a_convolution_in_front_of_a_pooling_are_those_of_a_linear_layer() -> None:
    """Pooling and a linear map may change places: so do features, directions and the bar."""
    torch.manual_seed(0)
    body, layer = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU()), nn.Linear(5, 4)
    conv = nn.Conv2d(5, 4, 1)
    conv.weight.data = layer.weight[:, :, None, None].data
    conv.get_parameter("bias").data = layer.bias.data
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    networks = [nn.Sequential(body, *pool, layer), nn.Sequential(body, conv, *pool)]
    answers = []
    for network in networks:
        classifier = Classifier(network, input_shape=(3, 6, 6))
        x = random_inputs(classifier, 12)
        own = ClassDirections.of(classifier, x, torch.arange(12) % 4)
        assert own is not None
        (read,) = own.heads
        changed, (bar,) = barred(classifier, [read.head])
        bar.bar(read.values.flip(0), read.directions[torch.arange(12) % 4])
        answers.append((read.values, read.directions, changed(x)))
        assert not torch.allclose(changed(x), classifier(x), atol=1e-4)
    for one, two in zip(*answers, strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_each_of_two_averaged_heads_is_barred() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(12, 5)
            self.first, self.second = nn.Linear(5, 4), nn.Linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            features = self.body(x.flatten(1)).relu()
            return (self.first(features) + self.second(features)) / 2

    torch.manual_seed(0)
    classifier = Classifier(Two(), input_shape=(3, 2, 2))
    x = random_inputs(classifier, 8)
    own = ClassDirections.of(classifier, x, torch.arange(8) % 4)
    assert own is not None
    assert [read.head.name for read in own.heads] == ["network.first", "network.second"]
    changed, bars = barred(classifier, [read.head for read in own.heads])
    assert len(bars) == 2
    for bar, read in zip(bars, own.heads, strict=True):
        bar.bar(read.values, read.directions[torch.zeros(8, dtype=torch.int64)])
    assert torch.allclose(changed(x), classifier(x), atol=1e-5)  # nothing has moved
    moved, aim = own.heads[0].values.roll(1, 0), own.heads[0].directions[torch.arange(8) % 4]
    for bar in bars:
        bar.bar(moved, aim)
    towards = ((own.heads[0].values - moved) * aim).sum(1, keepdim=True).clamp_min(0)
    first, second = (classifier.get_parameter(f"network.{n}.weight") for n in ("first", "second"))
    mean = (first + second) / 2
    expected = classifier(x) - (towards * aim) @ mean.T
    assert torch.allclose(changed(x), expected, atol=1e-5)


# Barring


@pytest.mark.parametrize(
    ("moved", "remains"),
    [
        ([0.9, 0.1], [0.2, 0.1]),  # along the direction: taken away
        ([0.9, 0.8], [0.2, 0.8]),  # that part alone
        ([0.1, 0.1], [0.1, 0.1]),  # against it: as it is
        ([0.2, 0.1], [0.2, 0.1]),
    ],
)
def test_only_what_moves_towards_the_class_is_taken(
    moved: list[float], remains: list[float]
) -> None:
    changed, (bar,) = barred(linear(), [Head("network")])
    bar.bar(torch.tensor([[0.2, 0.1]]), torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(changed(torch.tensor([moved])), torch.tensor([remains]))


def test_every_input_has_a_bar_of_its_own() -> None:
    changed, (bar,) = barred(linear(), [Head("network")])
    bar.bar(torch.zeros(2, 2), torch.eye(2))
    x = torch.full((2, 2), 0.5)
    assert torch.allclose(changed(x), torch.tensor([[0.0, 0.5], [0.5, 0.0]]))


def test_the_bar_is_on_a_copy() -> None:
    classifier = random_classifier("conv_norm")
    before = snapshot(classifier)
    x = random_inputs(classifier, 6)
    own = ClassDirections.of(classifier, x, torch.arange(6) % 4)
    assert own is not None
    (read,) = own.heads
    changed, (bar,) = barred(classifier, [read.head])
    bar.bar(read.values, read.directions[torch.zeros(6, dtype=torch.int64)])
    assert torch.allclose(changed(x), classifier(x), atol=1e-5)  # nothing has moved
    assert storages(changed) == storages(classifier)
    assert_unchanged(classifier, before)


# What it is for


@pytest.mark.parametrize("family", ["latent middle", "latent late"])
def test_natural_shifts_fail_and_those_of_a_backdoor_do_not(family: str) -> None:
    """Where every class can be reached by a shift, only the target is left, as near as before."""
    clean = faint_images()

    def sizes(moves: Mapping[int, int], bar: bool) -> list[float | None]:
        found = screen(work_on(relay_classifier(moves), clean, bar=bar), family)
        return [candidate.size for candidate in found]

    free, barred_off = sizes(ALL_TO_ONE, False), sizes(ALL_TO_ONE, True)
    assert all(size is not None for size in free)
    for label in ALL_TO_ONE:
        found = barred_off[label]
        assert found is None or found > 1.5 * (free[label] or 0)
    assert barred_off[TARGET] == pytest.approx(free[TARGET], rel=0.5)
    assert sizes({}, True) == [None] * CLASSES


def test_a_head_rewritten_as_a_convolution_changes_no_latent_trigger() -> None:
    """Such a head cost the latent families, in silence."""
    linear = relay_classifier(ALL_TO_ONE)
    assert isinstance(linear.network, nn.Sequential)
    layers = [copy.deepcopy(layer) for layer in linear.network]
    conv = nn.Conv2d(2 * CLASSES, CLASSES, 1)
    with torch.no_grad():
        conv.weight.copy_(layers[-1].get_parameter("weight")[:, :, None, None])
        conv.get_parameter("bias").copy_(layers[-1].get_parameter("bias"))
    layers[-1:] = [nn.Unflatten(1, (-1, 1, 1)), conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    rewritten = Classifier(nn.Sequential(*layers), input_shape=linear.input_shape)
    sizes = [
        [item.size for item in screen(work_on(classifier, faint_images()), "latent late")]
        for classifier in (linear, rewritten)
    ]
    assert [size is None for size in sizes[0]] == [size is None for size in sizes[1]]
    assert sizes[1][TARGET] == pytest.approx(sizes[0][TARGET], rel=0.2)


def test_directions_of_a_toy_lead_to_its_classes() -> None:
    """The premise: going that way from anywhere, the network answers the class."""
    clean = clean_images()
    classifier = toy_classifier(backdoored=False)
    own = ClassDirections.of(classifier, clean.images, clean.labels)
    assert own is not None
    (read,) = own.heads
    layer = classifier.get_submodule(read.head.name)
    middle = read.values.mean(0)
    answers = layer(middle + 5 * read.directions).argmax(1)
    assert answers.tolist() == list(range(CLASSES))


def test_all_directions_are_barred_at_once() -> None:
    """Of features that moved anywhere, what is left is at right angles to every direction."""
    x = torch.rand(12, 5, generator=torch.Generator().manual_seed(0))
    classifier = linear(5, 3)
    own = ClassDirections.of(classifier, x, torch.arange(12) % 3)
    assert own is not None
    (read,) = own.heads
    # Three directions from their middle span a plane.
    assert read.span.shape == (2, 5)
    assert torch.allclose(read.span @ read.span.T, torch.eye(2), atol=1e-5)
    changed, (bar,) = barred(classifier, [read.head])
    moved = x + torch.rand(12, 5, generator=torch.Generator().manual_seed(1))
    bar.bar_all(x, read.span)
    left = changed(moved) - classifier(x)
    expected = (moved - x) - (moved - x) @ read.span.T @ read.span
    assert torch.allclose(left, expected[:, :3], atol=1e-5)
