"""Folders of Hugging Face Transformers: what is read, what is honoured, what is refused."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers import hub_work as work
from undoor.classifier import Classifier
from undoor.clean_set import read_images
from undoor.errors import UndoorError
from undoor.load import load
from undoor.resizing import Resizing
from undoor.sites.heads import find_heads


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return work.save_model(work.make_model("ViT"), tmp_path_factory.mktemp("vit"))


@pytest.fixture
def folder(vit: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(vit, tmp_path / "model"))


def picture(file: Path, height: int = 50, width: int = 75) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(file)
    return file


def answers(folder: Path, model: Any, file: Path) -> torch.Tensor:
    """Logits as Transformers itself gives them for a picture."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.no_grad():
        return model(**processor(Image.open(file), return_tensors="pt")).logits


PROCESSORS: dict[str, tuple[dict[str, Any], Resizing]] = {
    "straight": ({}, Resizing((32, 32))),
    "bicubic": ({"resample": 3}, Resizing((32, 32), resample="bicubic")),
    "unscaled": ({"do_normalize": False}, Resizing((32, 32))),
    "shortest edge and crop": (
        {
            "image_processor_type": "BitImageProcessor",
            "size": {"shortest_edge": 40}, "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32},
        },
        Resizing((32, 32), first=40),
    ),
    "both sides and crop": (
        {
            "image_processor_type": "DeiTImageProcessor",
            "size": {"height": 36, "width": 40}, "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32},
        },
        Resizing((32, 32), first=(36, 40)),
    ),
    "crop share": (
        {
            "image_processor_type": "ConvNextImageProcessor",
            "size": {"shortest_edge": 32}, "crop_pct": 0.8,
        },
        Resizing((32, 32), first=40),
    ),
    "offset and once more": (
        {
            "image_processor_type": "EfficientNetImageProcessor",
            "rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": True,
        },
        Resizing((32, 32)),
    ),
    "colours the other way": (
        {
            "image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True,
            "size": {"shortest_edge": 36}, "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32}, "do_normalize": False,
        },
        Resizing((32, 32), first=36),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROCESSORS)
def test_pictures_are_answered_as_by_transformers(folder: Path, kind: str) -> None:
    changes, resizing = PROCESSORS[kind]
    work.write_json(folder / "preprocessor_config.json", work.processor_of(**changes))
    classifier = load(folder)
    assert classifier.input_shape == (3, 32, 32)
    assert classifier.resizing == resizing
    assert classifier.class_names == work.NAMES
    file = picture(folder / "p.png")
    x, _, reading = read_images([file], classifier)
    assert not reading.skipped
    wanted = answers(folder, work.make_model("ViT"), file)
    assert torch.allclose(classifier(x), wanted, atol=1e-4)


def test_mean_and_std_are_those_written(vit: Path) -> None:
    classifier = load(vit)
    assert classifier.mean.flatten().tolist() == pytest.approx(work.MEAN, abs=1e-6)
    assert classifier.std.flatten().tolist() == pytest.approx(work.STD, abs=1e-6)
    assert load(vit / "config.json").fingerprint() == classifier.fingerprint()


def test_grey_images(tmp_path: Path) -> None:
    model = work.make_model("ViT", num_channels=1)
    processor = work.processor_of(image_mean=[0.5], image_std=[0.2])
    classifier = load(work.save_model(model, tmp_path, processor))
    assert classifier.input_shape == (1, 32, 32)
    assert classifier.mean.flatten().tolist() == [0.5]


def test_two_heads_that_are_averaged(tmp_path: Path) -> None:
    settings = {**work.OF_TRANSFORMERS["ViT"], "num_labels": 4}
    config = transformers.DeiTConfig(**settings)
    model = transformers.DeiTForImageClassificationWithTeacher(config).eval()
    classifier = load(work.save_model(model, tmp_path))
    x = torch.rand(2, 3, 32, 32)
    normal = (x - classifier.mean) / classifier.std
    assert torch.allclose(classifier(x), model(normal).logits, atol=1e-5)
    names = [head.name.rpartition(".")[2] for head in find_heads(classifier)]
    assert names == ["cls_classifier", "distillation_classifier"]


def test_options_win(folder: Path) -> None:
    classifier = load(folder, bounds=(0, 255), class_names=["a", "b", "c", "d"])
    assert classifier.class_names == ("a", "b", "c", "d")
    x = torch.rand(2, 3, 32, 32)
    assert torch.allclose(classifier(255 * x), load(folder)(x), atol=1e-4)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UndoorError, match=r"has no preprocessor_config.json.*give input_shape"):
        load(folder)
    stated = load(folder, input_shape=(3, 32, 32), mean=work.MEAN, std=work.STD)
    assert torch.allclose(stated(x), load_again(folder)(x), atol=1e-5)


def load_again(folder: Path) -> Classifier:
    work.write_json(folder / "preprocessor_config.json", work.processor_of())
    return load(folder)


def test_shards(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    keys = sorted(state)
    parts = {"a.safetensors": keys[::2], "b.safetensors": keys[1::2]}
    for name, own in parts.items():
        save_file({key: state[key] for key in own}, folder / name, metadata={"format": "pt"})
    index = {key: name for name, own in parts.items() for key in own}
    whole = load(folder).fingerprint()
    (folder / "model.safetensors").unlink()
    file = folder / "model.safetensors.index.json"
    work.write_json(file, {"metadata": {}, "weight_map": index})
    assert load(folder).fingerprint() == whole

    (folder.parent / "b.safetensors").write_bytes((folder / "b.safetensors").read_bytes())
    for elsewhere in ("../b.safetensors", str(folder.parent / "b.safetensors"), "..\\b", "b.bin"):
        moved = {k: elsewhere if v == "b.safetensors" else v for k, v in index.items()}
        work.write_json(file, {"weight_map": moved})
        with pytest.raises(UndoorError, match=r"names the part .*nothing outside of it is opened"):
            load(folder)
    work.write_json(file, {"weight_map": {**index, "x": "c.safetensors"}})
    with pytest.raises(UndoorError, match=r"lacks c.safetensors"):
        load(folder)


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def other_weights(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["vit.extra"] = state.pop("classifier.bias")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def repaired(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["vit.layernorm.correction.scale"] = torch.ones(32, 1)
    save_file(state, folder / "model.safetensors")


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: work.edit_json(folder / "config.json", **changes)


def processor(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: work.edit_json(folder / "preprocessor_config.json", **changes)


CODE = {"AutoModelForImageClassification": "evil.Model"}
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "code of the model": (config(auto_map=CODE), r"needs its own code.*never done"),
    "code alone": (config(auto_map=CODE, architectures=None), r"needs its own code"),
    "code of another place": (config(auto_map={"AutoConfig": "a/b--c.D"}), r"needs its own code"),
    "code of the processor": (
        processor(auto_map={"AutoImageProcessor": "evil.P"}), r"needs its own code",
    ),
    "only a pickle": (only_pickle, r"got only pytorch_model.bin.*safe_serialization=True"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"safetensors, got none"),
    "truncated": (truncate, r"not a readable safetensors file.*copy it again"),
    "other weights": (other_weights, r"1 missing \(classifier.bias\)"),
    "repaired": (repaired, r"repaired model.*undoor.guard"),
    "no classifier": (config(architectures=["ViTModel"]), r"one that ends in ForImageClass"),
    "two networks": (config(architectures=["A", "B"]), r"architectures is \['A', 'B'\]"),
    "unknown network": (config(architectures=["EvilForImageClassification"]), r"Evil"),
    "many labels": (config(problem_type="multi_label_classification"), r"several labels"),
    "names with a gap": (
        config(id2label={"0": "a", "1": "b", "2": "c", "4": "d"}), r"id2label has no class 3",
    ),
    "far too wide": (config(hidden_size=2_000_000, num_attention_heads=2), r"far larger"),
    "far too deep": (config(num_hidden_layers=10**12), r"far larger"),
    "other weights by timm": (
        config(model_args={"checkpoint_path": "../evil.pth"}),
        r"config.json: model_args.checkpoint_path is '../evil.pth'.*own weights alone",
    ),
    "other weights by name": (
        config(transformers_weights="other.safetensors"), r"transformers_weights is 'other.safe",
    ),
    "a kernel of the hub": (config(_attn_implementation="a/kernel"), r"_attn_implementation is"),
    "a path deep inside": (
        config(backbone_config={"list": [{"x": "C:\\w"}]}), r"backbone_config.list.x is",
    ),
    "a path of the processor": (processor(extra="~/x"), r"extra is '~/x'"),
    "adapter": (lambda f: work.write_json(f / "adapter_config.json", {}), r"an adapter"),
    "quantised": (config(quantization_config={"quant_method": "awq"}), r"quantised weights"),
    "no such processor": (
        processor(image_processor_type="EvilImageProcessor"), r"cannot be read.*give input_shape",
    ),
    "huge pictures": (processor(size={"height": 10**6, "width": 10**6}), r"more than 4096 pixels"),
    "padding": (
        processor(
            image_processor_type="BitImageProcessor", do_center_crop=True,
            crop_size={"height": 32, "width": 32}, size={"shortest_edge": 20},
        ), r"may pad",
    ),
    "no square": (
        processor(image_processor_type="BitImageProcessor", size={"shortest_edge": 32},
                  do_center_crop=False), r"does more than resize",
    ),
    "another size": (
        processor(size={"height": 64, "width": 64}), r"network failed on an input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(folder: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, message = REFUSED[kind]
    (folder / "evil.py").write_text("raise SystemExit('this code was run')")
    spoil(folder)
    with pytest.raises(UndoorError, match=message) as error:
        load(folder)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(folder))
    assert capfd.readouterr() == ("", "")


def test_configuration_that_is_no_json(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("[1, 2]")
    with pytest.raises(UndoorError, match="holds a list; expected a JSON object"):
        load(folder)
    (folder / "config.json").write_text("{" * 100_000)
    with pytest.raises(UndoorError, match=r"config\.json is not readable JSON"):
        load(folder)


def test_architecture_is_the_folders_own(folder: Path) -> None:
    with pytest.raises(
        UndoorError, match="defines the architecture of its model; leave architecture out"
    ):
        load(folder, architecture="nets.py:net")


def test_model_toml_comes_first(folder: Path) -> None:
    (folder / "model.toml").write_text("[model]\n")
    with pytest.raises(UndoorError, match=r"\[model\] weights is missing"):
        load(folder)


def test_nothing_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("somebody reached for the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    before = os.environ.get("HF_HUB_OFFLINE")
    assert load(folder).num_classes == len(work.NAMES)
    for name in ("preprocessor_config.json", "model.safetensors"):
        (folder / name).unlink()
        with pytest.raises(UndoorError):
            load(folder)
    assert os.environ.get("HF_HUB_OFFLINE") == before


def test_library_that_is_not_there(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UndoorError, match=r"needs transformers; .*pip install '\.\[tran"):
        load(vit)
