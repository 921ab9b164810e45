"""The units that a trigger moves most."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from undoor.align.transform import Correction
from undoor.align.unit_activations import VALUES, most_moved_units, site_shifts
from undoor.classifier import Classifier
from undoor.triggers import Stamp, Trigger


@pytest.fixture
def network() -> Classifier:
    """A convolution whose channel 2 alone sees the trigger's red."""
    conv = nn.Conv2d(3, 4, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(0.1 * torch.eye(4, 3)[:, :, None, None])
        conv.weight[:, 0] = 0
        conv.weight[2, 0] = 5
    net = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return Classifier(net, input_shape=(3, 6, 6))


@pytest.fixture
def trigger() -> Trigger:
    mask = torch.zeros(1, 6, 6)
    mask[:, :4, :4] = 1
    pattern = torch.zeros(3, 6, 6)
    pattern[0] = 1
    return Stamp("patch", mask, pattern, "replace", (0.0, 1.0))


@pytest.fixture
def images() -> Tensor:
    return 0.2 * torch.rand(40, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def halve(channels: int) -> Correction:
    one = torch.ones(channels, 1, 1)
    return Correction(0.5 * one, 0 * one, -100 * one, 100 * one)


def test_finds_the_unit(network: Classifier, trigger: Trigger, images: Tensor) -> None:
    corrections = {"network.0": halve(4)}
    units = most_moved_units(network, corrections, trigger, images, count=2)
    assert (units[0].site, units[0].unit) == ("network.0", 2)
    assert len(units) == 2
    assert units[0].moved > units[1].moved
    # The same images and positions in all three.
    assert torch.allclose(units[0].corrected, 0.5 * units[0].triggered)
    assert not torch.allclose(units[0].clean, units[0].triggered)
    expected = torch.nn.functional.conv2d(images, network.network[0].weight)[:, 2]  # type: ignore
    assert set(units[0].clean.tolist()) <= set(expected.flatten().tolist())


def test_earlier_corrections_are_in_place(
    network: Classifier, trigger: Trigger, images: Tensor
) -> None:
    corrections = {"entry": halve(3), "network.0": halve(4)}
    units = most_moved_units(network, corrections, trigger, images, count=7)
    assert {u.site for u in units} == {"entry", "network.0"}
    late = next(u for u in units if u.site == "network.0" and u.unit == 2)
    assert torch.allclose(late.corrected, 0.25 * late.triggered)


def test_nothing_is_changed(network: Classifier, trigger: Trigger, images: Tensor) -> None:
    corrections = {"network.0": halve(4)}
    before = copy.deepcopy((network.state_dict(), corrections["network.0"].state_dict()))
    names, kept = [name for name, _ in network.named_modules()], images.clone()
    most_moved_units(network, corrections, trigger, images)
    after = (network.state_dict(), corrections["network.0"].state_dict())
    for old, new in zip(before, after, strict=True):
        assert all(torch.equal(old[key], new[key]) for key in old)
    assert [name for name, _ in network.named_modules()] == names
    assert torch.equal(images, kept)


def test_sample_is_bounded_and_repeatable(trigger: Trigger) -> None:
    classifier = Classifier(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 36, 2)), input_shape=(3, 6, 6)
    )
    images = torch.rand(1000, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    corrections = {"entry": halve(3)}
    first = most_moved_units(classifier, corrections, trigger, images)
    again = most_moved_units(classifier, corrections, trigger, images)
    assert 0 < len(first[0].clean) <= VALUES
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.corrected, two.corrected)


def test_feature_vectors(trigger: Trigger, images: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 36, 5), nn.ReLU(), nn.Linear(5, 2))
    classifier = Classifier(net, input_shape=(3, 6, 6))
    one = torch.ones(5)
    corrections = {"network.1": Correction(one, 0 * one, -100 * one, 100 * one)}
    units = most_moved_units(classifier, corrections, trigger, images)
    assert len(units) == 5
    assert units[0].clean.shape == (40,)
    assert torch.equal(units[0].triggered, units[0].corrected)


def test_nothing_to_see(network: Classifier, trigger: Trigger, images: Tensor) -> None:
    assert most_moved_units(network, {}, trigger, images) == ()
    assert most_moved_units(network, {"entry": halve(3)}, trigger, images[:0]) == ()


def test_images_that_carry_the_trigger_already(
    network: Classifier, trigger: Trigger, images: Tensor
) -> None:
    """They stand for the stamped ones, whatever the recovered trigger is and how many there are."""
    nothing = Stamp("patch", torch.zeros(1, 6, 6), torch.zeros(3, 6, 6), "replace", (0.0, 1.0))
    corrections = {"network.0": halve(4)}
    stamped = most_moved_units(network, corrections, trigger, images)
    seen = most_moved_units(network, corrections, nothing, images, seen=trigger(images))
    for a, b in zip(stamped, seen, strict=True):
        assert (a.site, a.unit, a.moved) == (b.site, b.unit, b.moved)
        assert torch.equal(a.corrected, b.corrected)
    few = most_moved_units(network, corrections, nothing, images, seen=trigger(images[:7]))
    assert (few[0].site, few[0].unit) == ("network.0", 2)
    assert few[0].moved == pytest.approx(stamped[0].moved, rel=0.1)
    assert site_shifts(network, corrections, nothing, images)["network.0"] == 0
    shifts = site_shifts(network, corrections, nothing, images, seen=trigger(images))
    assert shifts == site_shifts(network, corrections, trigger, images)
