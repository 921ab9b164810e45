"""model.toml: what it may say, and what is said of one that is wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from undoor.errors import UndoorError
from undoor.inspect import inspect
from undoor.load import load as load_any

load = partial(load_any, trust_code=True)

ARCHS = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.fc = nn.Linear(12, num_classes)
    def forward(self, x):
        return self.fc(x.flatten(1))

def tiny(num_classes=3):
    return Tiny(num_classes)
"""
MODEL = 'weights = "w.safetensors"\narchitecture = "archs.py:tiny"\n'
INPUT = "shape = [3, 2, 2]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "archs.py").write_text(ARCHS)
    save_file(
        {"fc.weight": torch.ones(3, 12), "fc.bias": torch.zeros(3)}, tmp_path / "w.safetensors"
    )
    return tmp_path


def write(folder: Path, model: str = MODEL, given: str = INPUT, rest: str = "") -> Path:
    file = folder / "model.toml"
    file.write_text(f"[model]\n{model}\n[input]\n{given}\n{rest}")
    return file


def test_folder_and_file_give_the_same_classifier(folder: Path) -> None:
    file = write(
        folder,
        MODEL + "arguments = { num_classes = 3 }",
        INPUT + "bounds = [0, 255]\nscale = 0.5\nmean = [1, 2, 3]\nstd = 2",
        '[data]\nname = "anything"\n[classes]\nnames = ["a", "b", "c"]',
    )
    classifier = load(folder)
    assert classifier.fingerprint() == load(str(file)).fingerprint()
    assert classifier.input_shape == (3, 2, 2)
    assert classifier.bounds == (0.0, 255.0)
    assert classifier.scale == 0.5
    assert classifier.mean.flatten().tolist() == [1, 2, 3]
    assert classifier.std.flatten().tolist() == [2]
    assert classifier.class_names == ("a", "b", "c")


def test_paths_start_at_the_toml(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    write(inner, MODEL.replace("w.safe", "../w.safe").replace("archs.py", "../archs.py"))
    assert load(inner).num_classes == 3


def test_options_win_over_the_file(folder: Path) -> None:
    write(folder, given=INPUT + "bounds = [0, 255]")
    classifier = load(folder, bounds=(0, 1), mean=[0.5], class_names=["x", "y", "z"])
    assert classifier.bounds == (0.0, 1.0)
    assert classifier.mean.flatten().tolist() == [0.5]
    assert classifier.class_names == ("x", "y", "z")


def test_checkpoint_with_options(folder: Path) -> None:
    weights, archs = folder / "w.safetensors", f"{folder / 'archs.py'}:tiny"
    assert load(weights, architecture=archs, input_shape=(3, 2, 2)).num_classes == 3


@pytest.mark.parametrize(
    ("model", "given", "rest", "message"),
    [
        (
            MODEL + 'weigths = "x"',
            INPUT,
            "",
            r"unknown key 'weigths' in \[model\]; did you mean 'weights'",
        ),
        (
            MODEL,
            INPUT + "zzz = 1",
            "",
            r"'zzz' in \[input\]; known keys: shape, bounds, scale, mean",
        ),
        (MODEL, "", "", r"\[input\] shape is missing; .*shape = \[3, 32, 32\].*input_shape"),
        ('weights = "w.safetensors"', INPUT, "", r"\[model\] architecture is missing"),
        ('architecture = "archs.py:tiny"', INPUT, "", r"\[model\] weights is missing; write"),
        (MODEL, 'shape = "big"', "", r"\[input\] shape: .* got 'big'; write for example"),
        (MODEL, "shape = [3, 0, 2]", "", r"\[input\] shape: .*greater than 0, got 0"),
        (MODEL, INPUT + "bounds = [0, nan]", "", r"\[input\] bounds: .*finite"),
        (MODEL, INPUT + "bounds = [0, 1, 2]", "", r"\[input\] bounds"),
        (
            MODEL + 'output = "softmax"',
            INPUT,
            "",
            r"\[model\] output: .*'logits', .*'logit' or 'probability'",
        ),
        (
            MODEL,
            INPUT,
            '[clases]\nnames = ["a"]',
            r"unknown table \[clases\]; did you mean \[classes\]",
        ),
        (
            MODEL,
            INPUT,
            '[classes]\nnames = ["a"]',
            r"1 class names were given for a model with 3",
        ),
        (MODEL, INPUT, "[broken", r"not a readable TOML file"),
        (MODEL + 'weights = "twice"', INPUT, "", r"not a readable TOML file"),
        (MODEL.replace("w.safe", "other.safe"), INPUT, "", r"other.safetensors do not exist"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Path, model: str, given: str, rest: str, message: str
) -> None:
    write(folder, model, given, rest)
    with pytest.raises(UndoorError, match=message) as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_table_that_is_none(folder: Path) -> None:
    (folder / "model.toml").write_text('model = "w.safetensors"\n')
    with pytest.raises(UndoorError, match=r"expected a table \[model\], got model = 'w"):
        load(folder)


def test_missing_path_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"nowhere does not exist; expected a model.toml"):
        load(tmp_path / "nowhere")
    (tmp_path / "net.pt").touch()
    with pytest.raises(UndoorError, match=r"holds no model.toml \(found: net.pt\)"):
        load(tmp_path)


def test_checkpoint_without_options(folder: Path) -> None:
    with pytest.raises(
        UndoorError, match=r"architecture is missing.* give architecture as an option"
    ):
        load(folder / "w.safetensors", input_shape=(3, 2, 2))
    with pytest.raises(UndoorError, match=r"give input_shape as an option"):
        load(folder / "w.safetensors", architecture=f"{folder / 'archs.py'}:tiny")


@pytest.mark.parametrize("shape", ["[3, 20000, 20000]", str([1] * 9)])
def test_inputs_are_images(folder: Path, shape: str) -> None:
    (folder / "archs.py").write_text("raise SystemExit")
    write(folder, given=f"shape = {shape}")
    with pytest.raises(UndoorError, match=r"\[input\] shape .*(more than 67,|has 9 axes)"):
        load(folder)


@pytest.mark.parametrize("key", ["weights", "architecture"])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a\\u0000b.py", "has a NUL byte"),
        ("x" * 2000 + ".py", "characters; expected a path of at most 1,000"),
        ("x" * 300 + ".py", r"cannot be opened \(File name too long\)"),
    ],
)
def test_paths_that_are_none(folder: Path, key: str, path: str, why: str) -> None:
    write(
        folder, MODEL.replace({"weights": "w.safetensors", "architecture": "archs.py"}[key], path)
    )
    told = rf"\[model\] {key}.*{why}"
    with pytest.raises(UndoorError, match=told):
        load(folder)
    with pytest.raises(UndoorError, match=told):
        inspect(folder)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".toml"])
def test_models_whose_name_is_too_long(tmp_path: Path, name: str) -> None:
    with pytest.raises(UndoorError, match=r"cannot be opened \(File name too long\)"):
        load(tmp_path / name)
    with pytest.raises(UndoorError, match=r"cannot be opened \(File name too long\)"):
        inspect(tmp_path / name)


def test_space_and_task_by_name(folder: Path) -> None:
    file = write(
        folder, MODEL, 'shape = [12]\nspace = "vectors"', '[classes]\ntask = "single label"'
    )
    classifier = load(file)
    assert (classifier.space.name, classifier.task.name) == ("vectors", "single label")
    assert load(file, input_shape=(3, 2, 2), space="images").space.name == "images"
    with pytest.raises(UndoorError, match=r"expected a task \(single label, .*\), got 'magic'"):
        load(file, task="magic")
    with pytest.raises(UndoorError, match="expected a shape of the space 'images', got"):
        load(file, space="images")


def test_columns_of_a_table_stand_in_the_place_of_a_shape(folder: Path) -> None:
    columns = (
        "columns = [\n"
        '  { name = "age", range = [17, 90], mean = 38.6, scale = 13.6 },\n'
        f'  {{ name = "kind", categories = {[f"c{i}" for i in range(11)]} }},\n'
        "]"
    )
    classifier = load(write(folder, given=columns))
    assert (classifier.space.name, classifier.input_shape) == ("rows", (2,))
    assert classifier.columns[0].name == "age"
    with pytest.raises(UndoorError, match=r"unknown key 'sclae' .*did you mean 'scale'"):
        load(write(folder, given=columns.replace("scale", "sclae")))
    with pytest.raises(UndoorError, match="column 'age': expected a range"):
        load(write(folder, given=columns.replace("range = [17, 90], ", "")))
