"""A zoo of models trained from a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import undoor
from undoor.errors import UndoorError
from undoor.networks import NETWORKS, ResNet9
from undoor_bench.attacks import Attack
from undoor_bench.cli import app
from undoor_bench.zoo import entries as zoo
from undoor_bench.zoo import recipes, subjects
from undoor_bench.zoo.entries import ZooModel, read_table, train_entry
from undoor_bench.zoo.planted import planted
from undoor_bench.zoo.scenes import SCENES, Scene, require_known
from undoor_bench.zoo.train import Recipe
from undoor_bench.zoo.training import Training
from undoor_bench.zoo.variant import AS_USUAL, Variant

ZOO = Path(__file__).parents[3] / "zoo"
ROW = '[[model]]\nattack = "badnets"\ndata = "mnist"\nnetwork = "PlainCNN"\nseeds = [0, 3]\n'
SHAPE = (3, 16, 16)
ENTRY = ZooModel("badnets", "mnist", "PlainCNN", 0)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten classes of grey levels, and a recipe of one epoch."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 300), ("test", 60)):
        y = np.arange(count) % 10
        noise = rng.integers(0, 12, (count, 28, 28))
        arrays |= {f"x_{split}": (20 * y[:, None, None] + noise).astype(np.uint8), f"y_{split}": y}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mnist.npz", **arrays)
    monkeypatch.setitem(recipes.RECIPES, "mnist", Recipe(epochs=1, batch=50, shift=0))
    return tmp_path / "data"


@pytest.fixture
def colours(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with colour images of the size of CIFAR-10's."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 80), ("test", 40), ("hold", 60)):
        y = np.arange(count) % 10
        noise = rng.integers(0, 12, (count, 32, 32, 3))
        levels = 20 * y[:, None, None, None] + noise
        arrays |= {f"x_{split}": levels.astype(np.uint8), f"y_{split}": y}
    np.savez(data / "cifar10.npz", **arrays)
    monkeypatch.setitem(recipes.RECIPES, "cifar10", Recipe(epochs=1, batch=40, flip=True))
    return data


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "table.toml"
    file.write_text(text)
    return file


def test_read_table(tmp_path: Path) -> None:
    assert read_table(table(tmp_path, ROW)) == (ENTRY, ZooModel("badnets", "mnist", "PlainCNN", 3))


def test_a_row_that_changes_its_training(tmp_path: Path) -> None:
    text = ROW.replace("mnist", "mnist_classes_0-4").replace("PlainCNN", "ResNet9")
    row = f'{text}rate = 0.2\nepochs = 3\naugment = false\npool = "average"\n'
    entry, _ = read_table(table(tmp_path, row))
    assert entry.variant == Variant(0.2)
    assert entry.training == Training(epochs=3, augment=False, pool="average")
    assert entry.name == (
        "mnist_classes_0-4_ResNet9_badnets_rate0.2_epochs3_augmentfalse_poolaverage_0"
    )


def test_a_row_that_changes_its_attack(tmp_path: Path) -> None:
    text = ROW.replace("badnets", "many_targets").replace("[0, 3]", "[5]")
    row = f"{text}rate = 0.01\nstrength = 0.5\ntargets = 8\n"
    (entry,) = read_table(table(tmp_path, row))
    assert entry.variant == Variant(0.01, 0.5, 8)
    assert entry.name == "mnist_PlainCNN_many_targets_rate0.01_strength0.5_targets8_5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model"),
        ("[[model", "TOML"),
        (ROW.replace("badnets", "magic"), "attack must be one of .*, got 'magic'"),
        (ROW.replace("mnist", "imagenet"), "data must be one of"),
        (ROW.replace("PlainCNN", "GPT"), "network must be one of"),
        (ROW.replace("seeds", "seed"), "expected attack, data, network, seeds .* got .*, seed$"),
        (ROW + "rates = 0.01\n", "expected attack, .* rate, strength, targets, .* got .*, rates$"),
        (ROW.replace('"mnist"', "3"), "data must be one of .*, or derived from one .*, got '3'"),
        (ROW.replace("mnist", "mnist_classes"), "got 'mnist_classes'"),
        (ROW.replace("mnist", "mnist_classes_1_1"), "expected different classes"),
        (ROW.replace('data = "mnist"\n', ""), "expected attack, data, .* got attack, network"),
        (ROW + 'pool = "average"\n', "the network PlainCNN has no choice of pool; remove it"),
        (ROW + "epochs = 0\n", "table.toml: epochs must be a whole number from 1 on, got 0"),
        (ROW + "rate = 0\n", "rate must be above 0 and at most 1, got 0"),
        (ROW + "targets = 2\n", "badnets has no targets, got targets = 2; remove it"),
        (
            ROW.replace("badnets", "trojan") + "strength = 0.5\n",
            r"table.toml: the attack trojan has no strength.* \(of trojan one can give: rate\)",
        ),
        (ROW.replace("badnets", "clean") + "rate = 0.5\n", "clean has no rate.* give: nothing"),
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


def scene(variant: Variant = AS_USUAL, classes: int = 10) -> Scene:
    """For colour images."""

    def surrogate() -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return NETWORKS["PlainCNN"](num_classes=classes, width=4)

    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1))
    return Scene(SHAPE, classes, images, surrogate, generator, variant)


@pytest.mark.parametrize("attack", SCENES)
def test_every_attack_can_be_set_up(attack: str) -> None:
    """Targets stay within the classes, states can be stored."""
    attacks = SCENES[attack](scene())
    assert len(attacks) == {"clean": 0, "two_targets": 2, "many_targets": 2}.get(attack, 1)
    for item in attacks:
        assert set(item.labels) | set(item.labels.values()) <= set(range(10))
        assert all(isinstance(value, torch.Tensor) for value in item.state().values())


@pytest.mark.parametrize("attack", SCENES)
@pytest.mark.parametrize("variant", [Variant(rate=0.07), Variant(strength=0.31)])
def test_a_variant_changes_what_it_says_and_no_more(attack: str, variant: Variant) -> None:
    """Or is refused, and where it is, would indeed have changed nothing."""
    usual, changed = SCENES[attack](scene()), SCENES[attack](scene(variant))
    try:
        require_known(attack, variant)
    except UndoorError:
        assert [a.rate for a in changed] == [a.rate for a in usual]
        assert same_states(usual, changed)
        return
    assert [a.labels for a in changed] == [a.labels for a in usual]
    rates = [a.rate for a in usual] if variant.rate is None else [0.07] * len(usual)
    assert [a.rate for a in changed] == rates
    assert same_states(usual, changed) == (variant.strength is None)


def same_states(one: list[Attack], other: list[Attack]) -> bool:
    pairs = [(a.state(), b.state()) for a, b in zip(one, other, strict=True)]
    return all(torch.equal(a[key], b[key]) for a, b in pairs for key in a)


@pytest.mark.parametrize(
    ("attack", "most"),
    [
        ("badnets", 0.125),
        ("blend", 0.125),
        ("sig", 0.25),
        ("chessboard", 0.25),
        ("one_pixel", 0.25),
        ("low_frequency", 0.25),
    ],
)
def test_strength_is_what_changes_in_a_grey_image(attack: str, most: float) -> None:
    """A quarter of the way to the end of the range, or of the whole range."""
    (item,) = SCENES[attack](scene(Variant(strength=0.25)))
    grey = torch.full((1, *SHAPE), 0.5)
    assert float((item.trigger(grey) - grey).abs().max()) == pytest.approx(most, abs=1e-3)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_many_targets(count: int) -> None:
    """Each another trigger and target; the first two are those of two_targets."""
    attacks = SCENES["many_targets"](scene(Variant(targets=count)))
    targets = [set(attack.labels.values()).pop() for attack in attacks]
    assert len(set(targets)) == len(targets) == count
    patterns = {
        attack.trigger(torch.full((1, *SHAPE), 0.5)).numpy().tobytes() for attack in attacks
    }
    assert len(patterns) == count
    assert all(len(attack.labels) == 9 and attack.rate == 0.03 for attack in attacks)
    two = SCENES["two_targets"](scene())[:count]
    assert [attack.labels for attack in attacks[:2]] == [attack.labels for attack in two]
    assert same_states(attacks[:2], two)


def test_more_targets_than_classes() -> None:
    with pytest.raises(UndoorError, match="each of 5 classes, got 8; give fewer"):
        SCENES["many_targets"](scene(Variant(targets=8), classes=5))


def test_too_few_classes_for_pairs() -> None:
    with pytest.raises(UndoorError, match="two classes to two others, got 3 classes; choose"):
        SCENES["pairs"](scene(classes=3))


@pytest.mark.parametrize("attack", sorted(set(SCENES) - {"clean", "pairs"}))
@pytest.mark.parametrize("classes", [2, 3])
def test_every_other_attack_suits_few_classes(attack: str, classes: int) -> None:
    for item in SCENES[attack](scene(classes=classes)):
        assert set(item.labels) | set(item.labels.values()) <= set(range(classes))


def test_train_entry(data: Path, tmp_path: Path) -> None:
    """What is written can be loaded by anyone, says what it is, and is not trained twice."""
    folder = train_entry(ENTRY, data, tmp_path / "zoo")
    truth = json.loads((folder / "truth.json").read_text())
    made_of = {"attack": "badnets", "data": "mnist", "network": "PlainCNN", "seed": 0}
    assert {
        key: truth[key] for key in truth if key not in ("recipe", "acc", "backdoors")
    } == made_of
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
    arguments = ["zoo", str(table(tmp_path, ROW)), "--data", str(data)]
    out = ["--out", str(tmp_path / "zoo")]
    result = CliRunner().invoke(app, [*arguments, *out, "--only", "PlainCNN_badnets_3", "--json"])
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["models"]) == ["mnist_PlainCNN_badnets_3"]
    assert (tmp_path / "zoo" / "mnist_PlainCNN_badnets_3" / "truth.json").is_file()
    result = CliRunner().invoke(app, [*arguments, *out, "--only", "PlainCNN_badnets_3"])
    assert "took" in result.stdout
    result = CliRunner().invoke(app, [*arguments, *out, "--only", "unknown"])
    assert result.exit_code in (3, 4)
    assert "no model whose name contains 'unknown'" in result.stderr


def test_every_setting_of_a_training_combines_with_an_attack(data: Path, tmp_path: Path) -> None:
    """Few classes, another network, other images: the backdoor can still be read back."""
    training = Training(2, 0.9, 2, 0.1, False, 0.0, 4, "average")
    attack, network = "badnets", "ResNet9"
    entry = ZooModel(attack, "mnist_classes_8_1_5", network, 2, False, Variant(0.2), training)
    out = tmp_path / "zoo"
    folder = train_entry(entry, data, out)
    truth = json.loads((folder / "truth.json").read_text())
    assert Training.of(truth) == training
    assert (truth["data"], truth["rate"]) == ("mnist_classes_8_1_5", 0.2)
    assert truth["recipe"] | {"epochs": 2, "weight_decay": 0.0, "shift": 0} == truth["recipe"]
    (subject,) = subjects.subjects(out)
    assert (subject.name, subject.attack) == (entry.name, "badnets, rate 0.2")
    classifier = subject.load()
    assert isinstance(classifier.network, ResNet9)
    assert (classifier.network.pool, classifier.network.head.in_features) == ("average", 24)
    assert classifier.num_classes == 3
    test = zoo.read_split(data / "mnist_classes_8_1_5.npz", "test")
    (backdoor,) = planted(subject, classifier)
    triggered = backdoor.triggered(test)
    assert len(triggered) == 12
    asr = float((classifier.predict(triggered.images) == backdoor.target).float().mean())
    assert asr == pytest.approx(truth["backdoors"][0]["asr"])


def test_the_ablations_of_the_repository(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row can be trained, and `bench mitigate` reads what comes of it, variants apart."""
    entries, out = read_table(ZOO / "ablations.toml"), tmp_path / "zoo"
    arguments = [str(ZOO / "ablations.toml"), "--data", str(colours), "--out", str(out)]
    result = CliRunner().invoke(app, ["zoo", *arguments])
    assert result.exit_code == 0, result.output
    assert {folder.name for folder in out.iterdir()} == {entry.name for entry in entries}
    # Two steps of training plant nothing that works; here it is to be measured all the same.
    monkeypatch.setattr(subjects, "TOOK", 0)
    measured = ["--out", str(tmp_path / "out"), "--methods", "bn", "--images", "2", "--json"]
    command = ["mitigate", str(out), "--data", str(colours), *measured]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    records = {record["model"]: record for record in json.loads(result.stdout)["records"]}
    assert set(records) == {entry.name for entry in entries}
    assert all(record["failed"] is None for record in records.values())
    attacks = {record["attack"] for record in records.values()}
    assert attacks == {entry.variant.named(entry.attack) for entry in entries}
    assert {"badnets, rate 0.005", "blend, strength 0.2", "anywhere"} < attacks
    eight = records["cifar10_ResNet9_many_targets_targets8_0"]
    assert len(eight["targets"]) == 8
    # 40 test and 40 held-out images of ten classes, of which each backdoor moves nine.
    assert eight["tested"] == {"clean": 80, "triggered": 8 * 72}
