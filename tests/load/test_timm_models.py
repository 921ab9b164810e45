"""Networks of timm: by name with a checkpoint, and folders that timm wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from helpers import hub_work as work
from undoor.errors import UndoorError
from undoor.load import load
from undoor.resizing import Resizing

SMALL = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16]}
VIT = {"patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2}


def make(name: str = "resnet18", classes: int = 5, **arguments: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        arguments = arguments or SMALL
        return timm.create_model(name, num_classes=classes, **arguments).eval()


def save(network: nn.Module, file: Path, prefix: str = "") -> Path:
    save_file({prefix + key: value for key, value in network.state_dict().items()}, file)
    return file


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(make(), tmp_path / "weights.safetensors")


def test_everything_but_the_name_is_found_out(weights: Path) -> None:
    classifier = load(weights, architecture="timm:resnet18", arguments=SMALL)
    settings = timm.data.resolve_data_config({}, model=make())
    assert classifier.num_classes == 5
    assert classifier.input_shape == settings["input_size"] == (3, 224, 224)
    assert classifier.mean.flatten().tolist() == pytest.approx(settings["mean"])
    assert classifier.std.flatten().tolist() == pytest.approx(settings["std"])
    assert settings["crop_pct"] == 0.95
    assert classifier.resizing == Resizing((224, 224), first=235, resample="bicubic")
    x = torch.rand(2, 3, 224, 224)
    assert torch.equal(classifier(x), make()((x - classifier.mean) / classifier.std))


def test_settings_of_a_tag(weights: Path) -> None:
    classifier = load(weights, architecture="timm:resnet18.tv_in1k", arguments=SMALL)
    assert classifier.resizing == Resizing((224, 224), first=256, resample="bilinear")


def test_options_win_and_take_the_crop_with_them(weights: Path) -> None:
    classifier = load(
        weights,
        architecture="timm:resnet18",
        arguments=SMALL,
        input_shape=(3, 32, 32),
        mean=[0.5],
        std=[0.5],
        class_names=list("abcde"),
    )
    assert classifier.input_shape == (3, 32, 32)
    assert classifier.resizing == Resizing((32, 32), resample="bicubic")
    assert classifier.mean.flatten().tolist() == [0.5]
    assert classifier.class_names == tuple("abcde")


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module._orig_mod."])
def test_classes_of_a_wrapped_checkpoint(tmp_path: Path, prefix: str) -> None:
    file = save(make(classes=7), tmp_path / "w.safetensors", prefix)
    assert load(file, architecture="timm:resnet18", arguments=SMALL).num_classes == 7


def test_fixed_sizes_and_grey_inputs(tmp_path: Path) -> None:
    network = make("vit_tiny_patch16_224", img_size=24, in_chans=1, **VIT)
    file = save(network, tmp_path / "w.safetensors")
    name = "timm:vit_tiny_patch16_224"
    with pytest.raises(
        UndoorError, match=r"meant for 3 channels, but the network takes 1; give mean"
    ):
        load(file, architecture=name, arguments=VIT, input_shape=(1, 24, 24))
    given: dict[str, Any] = {"architecture": name, "arguments": VIT, "mean": [0.5], "std": [0.5]}
    classifier = load(file, input_shape=(1, 24, 24), **given)
    assert classifier.input_shape == (1, 24, 24)
    named = load(file, **{**given, "arguments": {**VIT, "img_size": 24}})
    assert named.fingerprint() == classifier.fingerprint()


def test_model_toml(weights: Path) -> None:
    (weights.parent / "model.toml").write_text(
        '[model]\nweights = "weights.safetensors"\narchitecture = "timm:resnet18"\n'
        "arguments = { layers = [1, 1, 1, 1], channels = [8, 8, 16, 16] }\n"
        "[input]\nshape = [3, 32, 32]\nbounds = [0, 255]\n"
    )
    classifier = load(weights.parent)
    plain = load(weights, architecture="timm:resnet18", arguments=SMALL, input_shape=(3, 32, 32))
    x = torch.rand(2, 3, 32, 32)
    assert torch.allclose(classifier(255 * x), plain(x), atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    timm.models.save_for_hf(
        make(),
        str(tmp_path / "saved"),
        model_config={"label_names": [*work.NAMES, "moor"]},
        model_args=SMALL,
        safe_serialization=True,
    )
    return tmp_path / "saved"


def test_folder_that_timm_wrote(folder: Path) -> None:
    work.edit_json(
        folder / "config.json",
        pretrained_cfg={
            "input_size": [3, 64, 48], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
            "crop_pct": 0.8, "crop_mode": "squash", "interpolation": "bilinear",
            "classifier": "fc", "first_conv": "conv1",
        },
    )  # fmt: skip
    classifier = load(folder)
    assert classifier.class_names == (*work.NAMES, "moor")
    assert classifier.input_shape == (3, 64, 48)
    assert classifier.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert classifier.resizing == Resizing((64, 48), first=(80, 60), resample="bilinear")
    assert load(folder / "config.json").fingerprint() == classifier.fingerprint()


def test_folder_without_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UndoorError, match=r"expected model.safetensors.*timm:resnet18 as its arch"):
        load(folder)


def test_way_of_resizing_that_is_not_known(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    work.edit_json(folder / "config.json", pretrained_cfg={**settings, "crop_mode": "border"})
    with pytest.raises(UndoorError, match=r"crop_mode border.*give input_shape"):
        load(folder)
    assert load(folder, input_shape=(3, 32, 32)).input_shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("timm:resnet18x", SMALL, r"timm has no network 'resnet18x' \(similar: .*resnet"),
        ("timm:resnt18", SMALL, r"'resnt18' \(similar: resnet18,"),
        ("timm:efficentnet_b0", SMALL, r"\(similar: efficientnet_b0,"),
        ("timm:hf-hub:evil/net", SMALL, r"timm has no network 'hf-hub:evil/net'"),
        ("timm:local-dir:/outside/x", SMALL, r"timm has no network 'local-dir"),
        ("timm:", SMALL, r"timm has no network ''"),
        ("timm:resnet18.nonsense", SMALL, r"timm:resnet18.nonsense: .*leave out"),
        ("timm:resnet18", {**SMALL, "pretrained": True}, r"no argument pretrained"),
        ("timm:resnet18", {**SMALL, "checkpoint_path": "x"}, r"no argument checkpoint_path"),
        ("timm:resnet18", {**SMALL, "nonsense": 1}, r"nonsense=1.* failed with TypeError"),
        ("timm:resnet18", {**SMALL, "layers": [1, 10**9]}, r"far larger than the .* tensors"),
        ("timm:resnet18", {}, r"does not fit timm:resnet18: .*missing"),
        ("timm:resnet18", {**SMALL, "num_classes": 3}, r"does not fit.*num_classes = 5"),
    ],
)
def test_refused(weights: Path, architecture: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message) as error:
        load(weights, architecture=architecture, arguments=arguments, input_shape=(3, 32, 32))
    assert "\n" not in str(error.value)


def test_name_without_weights() -> None:
    with pytest.raises(UndoorError, match=r"architecture without weights, and none are fetched"):
        load("timm:resnet18")


def test_library_that_is_not_there(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UndoorError, match=r"needs timm; .*pip install '\.\[timm\]'"):
        load(weights, architecture="timm:resnet18", arguments=SMALL)
