"""Families of points: candidates, their sizes, and the triggers that they become."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.families.bank import InputBank
from undoor.families.cluster import CLUSTER, places
from undoor.families.family import AtInput
from undoor.families.registry import REGISTRY, families_for
from undoor.families.turn import TURN
from undoor.point_networks import PointNet
from undoor.spaces.points import POINTS
from undoor.triggers import Cluster, Deformation, load_trigger

SHAPE, BOUNDS = (64, 5), (-2.0, 2.0)
OWN = [family for family in REGISTRY if family.spaces == {POINTS.name}]
SEARCHED = [family.name for family in OWN if family.at_size]
BANKS = {family.name: family for family in OWN if family.at_size is None}
MAPS = [name for name, family in BANKS.items() if family is not CLUSTER]


def drawn(count: int = 3) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1)) - 0.5


def bank_of(name: str, count: int = 5) -> InputBank:
    make = BANKS[name].make
    assert isinstance(make, AtInput)
    return make.bank(count, SHAPE, BOUNDS, torch.Generator().manual_seed(0))


def enlarged(bank: InputBank, times: float) -> InputBank:
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.mul_(times)
    return bank


def test_each_is_searched_at_one_size() -> None:
    classifier = Classifier(PointNet(5, 5), input_shape=SHAPE, bounds=BOUNDS, space=POINTS.name)
    assert families_for(classifier) == tuple(SEARCHED)
    assert len(SEARCHED) == len(BANKS) == 4


@pytest.mark.parametrize("name", BANKS)
def test_a_trigger_does_what_its_candidate_does(name: str, tmp_path: Path) -> None:
    bank, x = enlarged(bank_of(name), 2), drawn()
    changed = bank(x.expand(bank.count, *x.shape)).detach()
    for index in range(bank.count):
        trigger = bank.export(index)
        torch.testing.assert_close(trigger(x), changed[index], atol=1e-5, rtol=0)
        assert not torch.equal(trigger(x), x)
        trigger.save(tmp_path / "trigger.npz")
        again = load_trigger(tmp_path / "trigger.npz", shape=SHAPE, bounds=BOUNDS)
        torch.testing.assert_close(again(x), trigger(x), atol=1e-5, rtol=0)
        other = bank_of(name)
        row = (index + 1) % bank.count
        other.place(row, trigger)
        placed = other(x.expand(bank.count, *x.shape))[row]
        # Points of a cluster are held in their box about its middle.
        torch.testing.assert_close(placed, trigger(x), atol=0.21, rtol=0)


@pytest.mark.parametrize("name", MAPS)
def test_candidates_are_brought_back_to_a_size(name: str) -> None:
    bank = enlarged(bank_of(name), 100)
    bank.limit(0.3)
    torch.testing.assert_close(bank.sizes().detach(), torch.full((bank.count,), 0.3))
    assert bool((bank(drawn().expand(bank.count, -1, -1, -1))[..., 3:] == drawn()[..., 3:]).all())


def test_a_cluster_replaces_few_points_at_one_place() -> None:
    bank, x = enlarged(bank_of(CLUSTER.name), 10), drawn(1)
    bank.limit(1.0)
    trigger = bank.export(0)
    assert isinstance(trigger, Cluster)
    moved = (trigger(x) != x).any(2)[0]
    assert int(moved.sum()) == len(trigger.points) == 4
    spread = trigger.points.amax(0) - trigger.points.amin(0)
    assert float(spread[:3].max()) <= 0.1 * (BOUNDS[1] - BOUNDS[0])
    assert not bool(spread[3:].any())


def test_clusters_are_tried_all_over_the_bounds() -> None:
    tried = torch.stack([each.points[:, :3].mean(0) for each in places(SHAPE, BOUNDS)])
    assert len(tried) == 125
    assert bool((tried.amin(0) < -1.4).all() and (tried.amax(0) > 1.4).all())


def test_which_points_a_cluster_replaces_is_no_matter_to_a_network() -> None:
    network = PointNet(4, 5).eval()
    x, order = drawn(), torch.randperm(SHAPE[0], generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(network(x), network(x[:, order]), atol=1e-5, rtol=0)


def test_a_rotation_turns_all_points() -> None:
    maps = torch.zeros(1, 4, 3)
    # A quarter: x becomes y, and y becomes -x.
    maps[0, :3] = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) - torch.eye(3)
    trigger = Deformation("given", BOUNDS, torch.zeros(1, 3), maps)
    x = drawn()
    torch.testing.assert_close(trigger(x)[..., 0], -x[..., 1], atol=1e-6, rtol=0)
    torch.testing.assert_close(trigger(x)[..., 1], x[..., 0], atol=1e-6, rtol=0)


def test_a_turn_is_a_rotation_by_its_size() -> None:
    bank = enlarged(bank_of(TURN.name), 100)
    bank.limit(0.47)
    trigger = bank.export(0)
    assert isinstance(trigger, Deformation)
    turned = trigger.maps[0, :3] + torch.eye(3)
    torch.testing.assert_close(turned @ turned.T, torch.eye(3), atol=1e-5, rtol=0)
    assert float((turned.trace() - 1) / 2) == pytest.approx(math.cos(0.47), abs=1e-5)


def test_near_an_anchor_its_own_map_counts() -> None:
    maps = torch.zeros(2, 4, 3)
    maps[1, 3, 2] = 0.5
    anchors = torch.tensor([[-0.8, 0, 0], [0.8, 0, 0]])
    trigger = Deformation("given", (-1.0, 1.0), anchors, maps, 0.2)
    x = torch.cat([anchors, torch.zeros(1, 3)])[None]
    moved = (trigger(x) - x)[0, :, 2]
    torch.testing.assert_close(moved, torch.tensor([0.0, 0.5, 0.25]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (Cluster("given", BOUNDS, torch.zeros(2, 4)), "1 to 64 points of 5 numbers"),
        (
            Deformation("given", BOUNDS, torch.zeros(1, 3), torch.zeros(2, 4, 3)),
            r"expected anchors \[A, 3\]",
        ),
    ],
)
def test_files_that_do_not_fit(
    trigger: Cluster | Deformation, message: str, tmp_path: Path
) -> None:
    trigger.save(tmp_path / "t.npz")
    with pytest.raises(UndoorError, match=message):
        load_trigger(tmp_path / "t.npz", shape=SHAPE, bounds=BOUNDS)
