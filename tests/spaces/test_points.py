"""Points: their shapes, their pictures, and what does not fit them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import undoor
from undoor.align.plans import candidate_plans
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.errors import UndoorError
from undoor.point_networks import PointNet
from undoor.sites import ENTRY, find_sites
from undoor.spaces.points import POINTS, SIDE
from undoor.spaces.registry import space_of
from undoor.spaces.vectors import VECTORS

SHAPE = (64, 3)


def seer(count: int = 64) -> Classifier:
    shape = (count, 3)
    return Classifier(PointNet(3), input_shape=shape, bounds=(-1, 1), space=POINTS.name)


def dark(picture: Tensor) -> Tensor:
    return picture.mean(0) < 0.5


def test_the_space_must_be_named() -> None:
    assert space_of(SHAPE) is VECTORS
    assert seer().space is POINTS
    with pytest.raises(UndoorError, match=r"expected a shape of the space 'points', got \(64, 2\)"):
        Classifier(PointNet(3, 2), input_shape=(64, 2), space=POINTS.name)


def test_a_picture_shows_the_points_from_the_front_and_from_the_side() -> None:
    x = torch.tensor([[[1.0, 0.5, 0.0]]])
    (picture,) = POINTS.picture(x)
    assert picture.shape == (1, SIDE, 2 * SIDE)
    columns = dark(picture).any(0).nonzero()[:, 0].tolist()
    assert columns == [SIDE - 2, SIDE - 1, SIDE, SIDE + 1]
    rows = dark(picture).any(1).nonzero()[:, 0]
    assert bool((rows - SIDE // 2).abs().max() <= 2)


def test_moved_points_are_red_and_others_are_not() -> None:
    x = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[0, 5] = torch.tensor([0.9, 0.1, 0.5])
    (shown,) = POINTS.picture_changed(x, changed)
    red = (shown[0] > 0.8) & (shown[1] < 0.2)
    assert 9 <= int(red.sum()) <= 18
    assert bool(red[:, :SIDE].any())
    assert bool(red[:, SIDE:].any())
    torch.testing.assert_close(POINTS.picture_changed(x, x)[:, :1], POINTS.picture(x))


def test_no_correction_is_per_point() -> None:
    """Which point comes first means nothing, so that none may be corrected by its number."""
    sites = find_sites(seer())
    assert len(sites) == 6
    plans = candidate_plans(sites)
    assert list(plans) == ["per channel"]
    assert ENTRY not in plans["per channel"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 8), "look like images of shape .* takes 64 points of 3 numbers; give folders"),
        ((60, 3), "the data have 60 points of 3 numbers, the model takes 64 of 3; draw"),
    ],
)
def test_what_does_not_fit_is_named(shape: tuple[int, ...], message: str) -> None:
    found = CleanSet(torch.zeros(6, *shape), torch.arange(6) % 3)
    with pytest.raises(UndoorError, match=message):
        found.for_classifier(seer())


def test_a_folder_is_a_model_of_points(tmp_path: Path) -> None:
    save_file(PointNet(3).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "model.toml").write_text(
        '[model]\nweights = "weights.safetensors"\n'
        'architecture = "undoor.point_networks:PointNet"\narguments = { num_classes = 3 }\n'
        '[input]\nshape = [64, 3]\nbounds = [-1.0, 1.0]\nspace = "points"\n'
    )
    classifier = undoor.load(tmp_path)
    assert classifier.space is POINTS
    x = np.random.default_rng(0).uniform(-1, 1, (9, 64, 3)).astype(np.float32)
    np.savez(tmp_path / "d.npz", points=x, labels=np.arange(9) % 3)
    clean = read_clean_set(tmp_path / "d.npz", classifier=classifier)
    torch.testing.assert_close(clean.images, torch.from_numpy(x))
    assert clean.labels.tolist() == [0, 1, 2] * 3
