"""Backdoors from what a zoo stores of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.networks import PlainCNN
from undoor.triggers import Stamp
from undoor_bench.attacks import Attack, Role
from undoor_bench.zoo.planted import Applied, Planted, planted, read_attacks
from undoor_bench.zoo.scenes import SCENES, Scene
from undoor_bench.zoo.subjects import subjects
from undoor_bench.zoo.variant import AS_USUAL, Variant

SHAPE = (3, 12, 12)
CLASSES = 7
ZOO = Path(__file__).parents[3] / "zoo"


def images(count: int = 14) -> CleanSet:
    x = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(9))
    return CleanSet(x, torch.arange(count) % CLASSES)


def at_training(name: str, seed: int = 3, variant: Variant = AS_USUAL) -> list[Attack]:
    """As `train_entry` sets a scene; what a surrogate's training and a learned trigger change."""
    generator = torch.Generator().manual_seed(seed)

    def surrogate() -> nn.Module:
        torch.rand(100, generator=generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return PlainCNN(num_classes=CLASSES, channels=SHAPE[0], width=2)

    scene = Scene(SHAPE, CLASSES, images(64).images, surrogate, generator, variant)
    attacks = SCENES[name](scene)
    for attack in attacks:
        for parameter in attack.trigger_parameters():
            parameter.data.mul_(1.5)
    return attacks


def store(
    folder: Path, name: str, attacks: list[Attack], seed: int = 3, variant: Variant = AS_USUAL
) -> Path:
    folder.mkdir(parents=True)
    backdoors = [
        {"labels": {str(k): v for k, v in attack.labels.items()}, "asr": 1.0, "sia": 0.0}
        for attack in attacks
    ]
    truth = {"attack": name, "data": "mnist", "network": "PlainCNN", "seed": seed, "acc": 0.9}
    (folder / "truth.json").write_text(
        json.dumps(truth | variant.to_json() | {"backdoors": backdoors})
    )
    (folder / "model.toml").write_text(
        f"[model]\narguments = {{ num_classes = {CLASSES}, channels = 3 }}\n"
        f"[input]\nshape = {list(SHAPE)}\n"
    )
    for number, attack in enumerate(attacks):
        state = {key: value.contiguous() for key, value in attack.state().items()}
        save_file(state, folder / f"attack_{number}.safetensors")
    return folder


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        *((name, AS_USUAL) for name in SCENES if name != "clean"),
        ("blend", Variant(rate=0.01, strength=0.3)),
        ("badnets", Variant(strength=0.5)),
        ("wanet", Variant(rate=0.02, strength=0.9)),
        ("input_aware", Variant(rate=0.2)),
        ("many_targets", Variant(rate=0.01, strength=0.5, targets=6)),
    ],
)
def test_every_kind_of_attack_comes_back(name: str, variant: Variant, tmp_path: Path) -> None:
    attacks = at_training(name, variant=variant)
    again = read_attacks(store(tmp_path / "m", name, attacks, variant=variant))
    assert len(again) == len(attacks)
    x = images().images
    for before, after in zip(attacks, again, strict=True):
        assert type(after) is type(before)
        assert after.labels == before.labels
        assert (after.rate, after.cover_rate) == (before.rate, before.cover_rate)
        with torch.no_grad():
            assert torch.equal(after.trigger(x), before.trigger(x))


@pytest.mark.parametrize(
    "folder", sorted(str(file.parent.relative_to(ZOO)) for file in ZOO.glob("**/attack_0.*"))
)
def test_the_zoo_of_the_repository(folder: str) -> None:
    """Among them learned triggers, surrogates and a derived data set; labels are checked too."""
    attacks = read_attacks(ZOO / folder)
    for number, attack in enumerate(attacks):
        stored = load_file(ZOO / folder / f"attack_{number}.safetensors")
        assert all(torch.equal(attack.state()[key], stored[key]) for key in stored)


def test_what_was_not_stored_is_not_made_up(tmp_path: Path) -> None:
    (attack,) = read_attacks(store(tmp_path / "m", "clean_label", at_training("clean_label")))
    clean = images()
    roles = torch.full_like(clean.labels, Role.POISONED)
    with pytest.raises(UndoorError, match="not stored"):
        attack.poison(clean.images, clean.labels, roles)


def _without_state(folder: Path) -> None:
    (folder / "attack_0.safetensors").unlink()


def _damaged(folder: Path) -> None:
    (folder / "attack_0.safetensors").write_bytes(b"nothing")


def _other_seed(folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    (folder / "truth.json").write_text(json.dumps(truth | {"seed": 4}))


def _other_number(folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    (folder / "truth.json").write_text(json.dumps(truth | {"attack": "many_targets"}))


def _other_attack(folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    (folder / "truth.json").write_text(json.dumps(truth | {"attack": "magic"}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_state, "attack_0"),
        (_damaged, "expected truth.json, model.toml and attack_N"),
        (_other_seed, "other sources and targets than the seed 4"),
        (_other_number, "other sources and targets"),
        (_other_attack, "magic"),
    ],
)
def test_folders_that_do_not_fit(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = store(tmp_path / "m", "badnets", at_training("badnets"))
    spoil(folder)
    with pytest.raises(UndoorError, match=message):
        read_attacks(folder)


def classifier() -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, CLASSES))
    return Classifier(network, input_shape=SHAPE)


@pytest.mark.parametrize("name", ["all_to_all", "pairs", "two_targets", "source_specific", "wanet"])
def test_planted_by_target(name: str, tmp_path: Path) -> None:
    """Together they say what the attacks' labels say, and set the attacks' triggers."""
    attacks = at_training(name)
    store(tmp_path / "m", name, attacks)
    (subject,) = subjects(tmp_path)
    found = planted(subject, classifier())
    moves = [(source, p.target) for p in found for source in p.sources]
    assert sorted(moves) == sorted(pair for a in attacks for pair in a.labels.items())
    clean = images()
    for item in found:
        (attack,) = (a for a in attacks if item.target in a.labels.values())
        out = item.triggered(clean)
        rows = torch.isin(clean.labels, torch.tensor(item.sources))
        assert torch.equal(out.labels, clean.labels[rows])
        assert torch.allclose(out.images, attack.trigger(clean.images[rows]), atol=0.5001 / 255)
        assert torch.allclose((out.images * 255).round(), out.images * 255, atol=1e-4)


@pytest.mark.parametrize("source", [None, 4])
def test_planted_in_a_public_model(tmp_path: Path, source: int | None) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    mask = np.zeros((12, 12), np.float32)
    mask[2, 3] = 1
    np.savez(folder / "t.npz", mask=mask, pattern=np.ones((12, 12)), mode=np.array("replace"))
    truth = {"target": 1, "source": source, "triggers": ["t.npz"]}
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "model.toml").write_text('[data]\nname = "mnist"\n')
    (subject,) = subjects(tmp_path)
    assert subject.public
    (item,) = planted(subject, classifier())
    out = item.triggered(images())
    assert item.target == 1
    assert set(out.labels.tolist()) == ({0, 2, 3, 4, 5, 6} if source is None else {4})
    assert bool((out.images[:, :, 2, 3] == 1).all())
    (folder / "truth.json").write_text(json.dumps(truth | {"triggers": []}))
    with pytest.raises(UndoorError, match="expected triggers"):
        planted(subject, classifier())


def test_nothing_is_planted_in_a_clean_model(tmp_path: Path) -> None:
    store(tmp_path / "m", "clean", [])
    (subject,) = subjects(tmp_path)
    assert planted(subject, classifier()) == ()


def test_no_image_of_a_source() -> None:
    stamp = Stamp("given", torch.zeros(1, 12, 12), torch.zeros(SHAPE), "add", (0.0, 1.0))
    out = Planted(0, (6,), stamp).triggered(images(3))
    assert out.images.shape == (0, *SHAPE)


def test_an_attack_as_a_trigger() -> None:
    """No gradients reach the attacker's generator, and files of it are read elsewhere."""
    (attack,) = at_training("input_aware")
    trigger = Applied(attack)
    assert not trigger(images().images).requires_grad
    assert set(trigger.arrays()) == set(attack.state())
    with pytest.raises(UndoorError, match="read_attacks"):
        Applied.from_arrays(trigger.arrays(), shape=SHAPE, bounds=(0.0, 1.0))
