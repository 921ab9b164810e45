"""The corrected network as a state dict."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import undoor
from helpers.guarded_networks import inputs, subject
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.align.fold import without_bounds
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.repairs.record import Repair
from undoor.sites import attach


def affine(repair: Repair) -> Repair:
    (item,) = repair.targets
    return replace(repair, targets=(replace(item, corrections=without_bounds(item.corrections)),))


@pytest.mark.parametrize("family", ["ResNet9", "VGG", "MobileNet"])
def test_loads_strictly_into_the_plain_network(tmp_path: Path, family: str) -> None:
    """The file is a whole network, and it is the repaired one: nothing is lost in silence."""
    model, repair = subject(family)
    repair = affine(repair)
    made = undoor.export(model, repair, tmp_path / "c.safetensors")
    plain = copy.deepcopy(model.network)
    plain.load_state_dict(load_file(made.file), strict=True)
    twin = Classifier(
        plain, input_shape=(3, 32, 32), bounds=(0, 255), mean=[120.0] * 3, std=[60.0] * 3
    )
    x = inputs(20)
    corrected = attach(model, repair.targets[0].corrections)(x)
    scale = float(corrected.abs().max())
    torch.testing.assert_close(twin(x), corrected, rtol=0, atol=1e-4 * max(1, scale))
    assert not torch.allclose(twin(x), model(x), atol=1e-2 * scale)


def test_says_what_it_is(tmp_path: Path) -> None:
    model, repair = subject("VGG")
    made = undoor.export(model, affine(repair), tmp_path / "c.safetensors", policy="reject")
    with safe_open(made.file, "pt") as archive:
        about = json.loads(archive.metadata()["undoor.export"])
    assert about == made.about.to_json()
    assert (about["holds"], about["rule"], about["policy"]) == ("corrected", None, None)
    assert made.to_json()["outputs"] == []
    again = undoor.export(model, affine(repair), tmp_path / "again.safetensors")
    assert again.sha256 == made.sha256


def test_is_another_model(tmp_path: Path) -> None:
    """Its fingerprint is its own: the repair is not put on top of itself."""
    model, repair = subject("VGG")
    repair = affine(repair)
    file = undoor.export(model, repair, tmp_path / "c.safetensors").file
    loaded = undoor.load(
        file, architecture=copy.deepcopy(model.network), input_shape=(3, 32, 32), bounds=(0, 255),
        mean=[120.0] * 3, std=[60.0] * 3,
    )  # fmt: skip
    with pytest.raises(UndoorError, match="made for another model"):
        undoor.guard(loaded, repair)


def with_corrections(model: Classifier, corrections: dict[str, Correction]) -> Repair:
    made = make_repair(model, (1,))
    return replace(made, targets=(replace(made.targets[0], corrections=corrections),))


def free(*shape: int, high: float = torch.inf) -> Correction:
    one = torch.ones(shape)
    return Correction(0.5 * one, one, -torch.inf * one, high * one)


def mixing(channels: int) -> Correction:
    parts = free(channels, 1, 1).parts
    return Correction(**parts, down=torch.ones(1, channels), up=torch.ones(channels, 1))


@pytest.mark.parametrize(
    ("corrections", "told"),
    [
        ({"network.1": free(5, 1, 1, high=9.0)}, r"1 of 1 corrections .* network\.1 clips"),
        ({"network.1": free(5, 6, 6)}, r"network\.1 is per position"),
        ({"network.1": mixing(5)}, r"network\.1 moves channels together"),
        (
            {"network.1": free(5, 1, 1), "entry": free(3, 1, 1)},
            "1 of 2 .* entry stands behind no batch norm",
        ),
    ],
)
def test_what_does_not_fold(tmp_path: Path, corrections: dict, told: str) -> None:  # type: ignore[type-arg]
    model = random_classifier("conv_norm")
    with pytest.raises(UndoorError, match=rf"{told}.*--to onnx or --to pt2"):
        undoor.export(model, with_corrections(model, corrections), tmp_path / "c.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("norm", [nn.SyncBatchNorm(5), nn.InstanceNorm2d(5, affine=True)])
def test_other_norms_fold(tmp_path: Path, norm: nn.Module) -> None:
    layers = nn.Sequential(nn.Conv2d(3, 5, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(80, 4))
    model = Classifier(layers, input_shape=(3, 6, 6))
    repair = with_corrections(model, {"network.1": free(5, 1, 1)})
    undoor.export(model, repair, tmp_path / "c.safetensors")
    state = load_file(tmp_path / "c.safetensors")
    assert state.keys() == model.network.state_dict().keys()
    layers.load_state_dict(state)


def test_several_targets(tmp_path: Path) -> None:
    model = random_classifier("conv_norm")
    with pytest.raises(UndoorError, match=r"one target, got 2.*undoor repairs remove"):
        undoor.export(model, make_repair(model), tmp_path / "c.safetensors")


def test_norm_without_weights(tmp_path: Path) -> None:
    """The architecture has no place for the correction: strict loading would fail, and should."""
    layers = (nn.Linear(8, 6), nn.BatchNorm1d(6, affine=False), nn.Linear(6, 4))
    model = Classifier(nn.Sequential(*layers), input_shape=(8,))
    repair = with_corrections(model, {"network.1": free(6)})
    with pytest.raises(UndoorError, match="no weight and bias of its own"):
        undoor.export(model, repair, tmp_path / "c.safetensors")
