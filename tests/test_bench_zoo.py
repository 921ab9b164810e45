"""A zoo of models trained from a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import undoor
from undoor.bench import zoo
from undoor.bench.scenes import SCENES, Scene
from undoor.bench.train import Recipe
from undoor.bench.zoo import Entry, read_table, train_entry
from undoor.cli.app import app
from undoor.errors import UndoorError

ROW = '[[model]]\nattack = "badnets"\ndata = "mnist"\nnetwork = "PlainCNN"\nseeds = [0, 3]\n'
ENTRY = Entry("badnets", "mnist", "PlainCNN", 0)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten classes of grey levels, and a recipe of one epoch."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 300), ("test", 60)):
        y = np.arange(count) % 10
        noise = rng.integers(0, 12, (count, 28, 28))
        arrays |= {f"x_{split}": (20 * y[:, None, None] + noise).astype(np.uint8), f"y_{split}": y}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mnist.npz", **arrays)
    monkeypatch.setitem(zoo.RECIPES, "mnist", Recipe(epochs=1, batch=50, shift=0))
    return tmp_path / "data"


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "table.toml"
    file.write_text(text)
    return file


def test_the_table_of_the_repository() -> None:
    """As many models as a calibration needs, every attack among them, no name twice."""
    entries = read_table(Path(__file__).parents[1] / "zoo" / "table.toml")
    assert len(entries) >= 40
    assert len({entry.name for entry in entries}) == len(entries)
    assert sum(entry.attack == "clean" for entry in entries) >= 16
    assert {entry.attack for entry in entries} == set(SCENES)
    for attack in ("wanet", "blend", "sig", "input_aware"):
        assert sum(e.attack == attack and e.data == "cifar10" for e in entries) >= 5


def test_read_table(tmp_path: Path) -> None:
    assert read_table(table(tmp_path, ROW)) == (ENTRY, Entry("badnets", "mnist", "PlainCNN", 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model"),
        ("[[model", "TOML"),
        (ROW.replace("badnets", "magic"), "attack must be one of .*, got 'magic'"),
        (ROW.replace("mnist", "imagenet"), "data must be one of"),
        (ROW.replace("PlainCNN", "GPT"), "network must be one of"),
    ],
)
def test_tables_that_say_nothing(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        read_table(table(tmp_path, text))


def test_missing_table_and_data(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"none\.toml"):
        read_table(tmp_path / "none.toml")
    with pytest.raises(UndoorError, match="x_train and y_train"):
        train_entry(ENTRY, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("attack", SCENES)
def test_every_attack_can_be_set_up(attack: str) -> None:
    """On colour images; targets stay within the classes, states can be stored."""

    def surrogate() -> torch.nn.Module:
        return zoo.NETWORKS["PlainCNN"](num_classes=10)

    generator = torch.Generator().manual_seed(0)
    scene = Scene((3, 32, 32), 10, torch.rand(64, 3, 32, 32), surrogate, generator)
    attacks = SCENES[attack](scene)
    assert len(attacks) == {"clean": 0, "two_targets": 2}.get(attack, 1)
    for item in attacks:
        assert set(item.labels) | set(item.labels.values()) <= set(range(10))
        assert all(isinstance(value, torch.Tensor) for value in item.state().values())


def test_train_entry(data: Path, tmp_path: Path) -> None:
    """What is written can be loaded by anyone, says what it is, and is not trained twice."""
    folder = train_entry(ENTRY, data, tmp_path / "zoo")
    truth = json.loads((folder / "truth.json").read_text())
    made_of = {key: truth[key] for key in ("attack", "data", "network", "seed")}
    assert made_of | {"calibrate": False} == vars(ENTRY)
    (found,) = truth["backdoors"]
    assert set(found) == {"labels", "asr", "sia", "took"}
    assert len(set(found["labels"].values())) == 1
    assert found["took"] == (found["asr"] >= 0.9)
    assert 0 <= truth["acc"] <= 1
    classifier = undoor.load(folder)
    assert classifier.num_classes == 10
    split = zoo.read_split(data / "mnist.npz", "test")
    answers = classifier.predict(split.images)
    assert float((answers == split.labels).float().mean()) == pytest.approx(truth["acc"])
    assert load_file(folder / "attack_0.safetensors")["mask"].sum() == 9
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert train_entry(ENTRY, data, tmp_path / "zoo") == folder
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_command(data: Path, tmp_path: Path) -> None:
    arguments = ["bench", "zoo", str(table(tmp_path, ROW)), "--data", str(data)]
    out = ["--out", str(tmp_path / "zoo")]
    result = CliRunner().invoke(app, [*arguments, *out, "--only", "PlainCNN_badnets_3", "--json"])
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["models"]) == ["mnist_PlainCNN_badnets_3"]
    assert (tmp_path / "zoo" / "mnist_PlainCNN_badnets_3" / "truth.json").is_file()
    result = CliRunner().invoke(app, [*arguments, *out, "--only", "PlainCNN_badnets_3"])
    assert "took" in result.stdout
    result = CliRunner().invoke(app, [*arguments, *out, "--only", "unknown"])
    assert result.exit_code == 2
    assert "no model whose name contains 'unknown'" in result.stderr
