"""A repair on disk, bound to its model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import (
    TARGET,
    clean_images,
    random_classifier,
    random_inputs,
    toy_classifier,
    true_trigger,
)

from undoor.align.adaptation import Adaptation
from undoor.align.calibrate import Calibration
from undoor.align.result import (
    DESCRIPTION,
    PARTS,
    SCHEMA,
    TENSORS,
    Repair,
    SiteChoice,
    TargetRepair,
    Trial,
)
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.rate import Rate
from undoor.sites import find_sites
from undoor.triggers import Stamp, Trigger


def calibration(target: int) -> Calibration:
    """Of four clean inputs for target 1, of none for target 3."""
    rate = Rate(0.25, 0.01, 0.81, 4) if target == 1 else Rate(None, None, None, 0)
    return Calibration(1.5 * target, 0.02, rate)


def make(classifier: Classifier, targets: tuple[int, ...] = (1, 3)) -> Repair:
    """Corrections of every site for some targets, with numbers of their own."""
    items = []
    for target in targets:
        corrections, sites = {}, []
        for site in find_sites(classifier):
            generator = torch.Generator().manual_seed(target)
            scale = torch.rand(site.shape, generator=generator)
            low = torch.full(site.shape, -torch.inf)
            corrections[site.name] = Correction(scale, 0.1 * scale, low, scale + 3)
            sites.append(SiteChoice(site.name, site.extent, "position", 0.5 * target))
        shape = classifier.input_shape
        trigger = Stamp("patch", torch.ones(1, *shape[1:]), torch.rand(shape), "replace", (0, 1))
        items.append(
            TargetRepair(
                target, (0, 2), trigger, corrections, calibration(target), "finest", tuple(sites),
                (Trial("finest", 0.9, 0.01, 0.9), Trial("per channel", 0.5, 0.0, 0.5)),
                0.01, 0.9, 0.02,
            )
        )  # fmt: skip
    seconds = {"scan": 1.0, "align": 2.0}
    return Repair("backdoored", tuple(items), "onepass", classifier.fingerprint(), seconds)


@pytest.fixture
def model() -> Classifier:
    return random_classifier("conv_norm")


@pytest.fixture
def folder(tmp_path: Path, model: Classifier) -> Path:
    make(model).save(tmp_path / "fix")
    return tmp_path / "fix"


def edit(folder: Path, change: dict[str, Any]) -> None:
    file = folder / DESCRIPTION
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))


@pytest.mark.parametrize("kind", ["conv_norm", "conv"])
def test_round_trip(tmp_path: Path, kind: str) -> None:
    model = random_classifier(kind)
    made = make(model)
    made.save(tmp_path)
    back = Repair.load(tmp_path, model)
    assert back.to_json() == made.to_json()
    for old, new in zip(made.targets, back.targets, strict=True):
        assert list(new.corrections) == list(old.corrections)
        assert (new.sites, new.trials, new.sources) == (old.sites, old.trials, old.sources)
        assert new.calibration == old.calibration
        assert new.threshold == old.calibration.threshold
        for name, h in old.corrections.items():
            for part in PARTS:
                assert torch.equal(getattr(new.corrections[name], part), getattr(h, part))
        x = random_inputs(model, 3)
        assert torch.allclose(new.trigger(x), old.trigger(x))
    x = random_inputs(model, 100)
    for a, b in zip(guard(model, made).logits(x), guard(model, back).logits(x), strict=True):
        assert torch.equal(a, b)


def test_round_trip_of_features(tmp_path: Path) -> None:
    """A repair of a model on tables of numbers."""
    model = random_classifier("mlp_norm")
    made = make(model)
    made.save(tmp_path)
    assert Repair.load(tmp_path, model).to_json() == made.to_json()


def test_round_trip_of_a_real_repair(tmp_path: Path, toy_repair: Repair) -> None:
    toy_repair.save(tmp_path)
    model = toy_classifier(backdoored=True, norm=True)
    back = Repair.load(tmp_path, model)
    assert back.to_json() == toy_repair.to_json()
    x = true_trigger()(clean_images(5).images)
    expected, got = guard(model, toy_repair)(x), guard(model, back)(x)
    assert bool(got[1].any())
    for a, b in zip(expected, got, strict=True):
        assert torch.equal(a, b)
    assert back.targets[0].target == TARGET


def test_round_trip_of_an_adapted_repair(tmp_path: Path, model: Classifier) -> None:
    made = make(model)
    adapted = replace(
        made.targets[0],
        adapted=Adaptation(900, 57, 20, 0.0, 57, True),
        sia=None,
        trials=(Trial("finest", None, 0.01, 0.9),),
    )
    made = replace(made, targets=(adapted, made.targets[1]))
    made.save(tmp_path)
    first, second = json.loads((tmp_path / DESCRIPTION).read_text())["targets"]
    assert first["adapted"] == adapted.adapted.to_json("1")  # type: ignore[union-attr]
    assert first["sia"] is None
    assert second["adapted"] is None
    back = Repair.load(tmp_path, model)
    assert back.to_json() == made.to_json()
    assert [item.adapted for item in back.targets] == [adapted.adapted, None]


def test_repairs_that_know_nothing_of_adapting(folder: Path, model: Classifier) -> None:
    """Those of earlier versions."""
    targets = json.loads((folder / DESCRIPTION).read_text())["targets"]
    edit(folder, {"targets": [{k: v for k, v in t.items() if k != "adapted"} for t in targets]})
    assert [item.adapted for item in Repair.load(folder, model).targets] == [None, None]


def test_empty_repair(tmp_path: Path, model: Classifier) -> None:
    made = replace(make(model, ()), verdict="clean")
    made.save(tmp_path)
    back = Repair.load(tmp_path, model)
    assert back.targets == ()
    assert back.verdict == "clean"


def test_files(folder: Path, model: Classifier) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {DESCRIPTION, TENSORS, "trigger_1.npz", "trigger_3.npz"}
    data = json.loads((folder / DESCRIPTION).read_text())
    assert data["schema"] == SCHEMA == "undoor/repair/2"
    assert [(site["target"], site["name"]) for site in data["sites"]] == [
        (target, site.name) for target in (1, 3) for site in find_sites(model)
    ]
    with safe_open(folder / TENSORS, "pt") as stored:
        assert stored.metadata() == {"schema": SCHEMA, "model_sha256": model.fingerprint()}
        assert "1/network.1/scale" in stored.keys()  # noqa: SIM118


def test_calibration_in_words(folder: Path) -> None:
    """The numbers, and where they cannot promise what was wanted, a sentence that says so."""
    few, none = json.loads((folder / DESCRIPTION).read_text())["targets"]
    assert few["threshold"] == 1.5
    assert few["calibration"] == {
        "wanted_fpr": 0.02,
        "n": 4,
        "flagged": 0.25,
        "flagged_interval": [0.01, 0.81],
        "resolution": 0.2,
        "note": calibration(1).note("1"),
    }
    assert "4 clean images of 1 cannot promise less than 20 %" in few["calibration"]["note"]
    assert "no clean image of 3 is answered so" in none["calibration"]["note"]


def test_description_comes_last(
    tmp_path: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with repair.json is a whole repair."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Trigger, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        make(model).save(tmp_path)
    assert not (tmp_path / DESCRIPTION).exists()


# Refusals


@pytest.mark.parametrize(
    "other",
    [
        random_classifier("conv_norm", seed=1),
        random_classifier("conv"),
        Classifier(random_classifier("conv_norm").network, input_shape=(3, 6, 6), mean=[0.1]),
    ],
)
def test_another_model(folder: Path, other: Classifier) -> None:
    with pytest.raises(UndoorError, match="made for another model"):
        Repair.load(folder, other)


@pytest.mark.parametrize("schema", ["undoor/repair/1", "undoor/scan/2", None])
def test_other_schema(folder: Path, model: Classifier, schema: str | None) -> None:
    edit(folder, {"schema": schema})
    with pytest.raises(UndoorError, match="expected schema 'undoor/repair/2'"):
        Repair.load(folder, model)


@pytest.mark.parametrize("name", [DESCRIPTION, TENSORS, "trigger_3.npz"])
def test_lost_file(folder: Path, model: Classifier, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UndoorError, match="no such file"):
        Repair.load(folder, model)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_tensors(folder: Path, model: Classifier, share: float) -> None:
    file = folder / TENSORS
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UndoorError, match="not a readable repair"):
        Repair.load(folder, model)


def test_missing_tensor(folder: Path, model: Classifier) -> None:
    tensors = load_file(folder / TENSORS)
    del tensors["3/entry/high"]
    save_file(tensors, folder / TENSORS, {"model_sha256": model.fingerprint()})
    with pytest.raises(UndoorError, match=r"not a readable repair.*3/entry/high"):
        Repair.load(folder, model)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_truncated_trigger(folder: Path, model: Classifier) -> None:
    file = folder / "trigger_1.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UndoorError, match=r"trigger_1\.npz: not a readable"):
        Repair.load(folder, model)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "undoor/repair/2"}'])
def test_no_json(folder: Path, model: Classifier, text: str) -> None:
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(UndoorError, match="not a readable repair"):
        Repair.load(folder, model)


@pytest.mark.parametrize("change", [{"targets": None}, {"sites": 3}, {"targets": [{}]}])
def test_strange_entries(folder: Path, model: Classifier, change: dict[str, Any]) -> None:
    edit(folder, change)
    with pytest.raises(UndoorError, match="not a readable repair"):
        Repair.load(folder, model)


@pytest.mark.parametrize(
    "change",
    [
        {"adapted": {"seen": 900}},
        {"threshold": None},
        {"threshold": float("nan")},
        {"calibration": None},
        {"calibration": {"wanted_fpr": 0.01}},
        {"calibration": {**calibration(1).to_json("1"), "flagged_interval": [0.1]}},
    ],
)
def test_strange_calibration(folder: Path, model: Classifier, change: dict[str, Any]) -> None:
    """A guard without a threshold would flag nothing, in silence."""
    targets = json.loads((folder / DESCRIPTION).read_text())["targets"]
    edit(folder, {"targets": [{**targets[0], **change}, targets[1]]})
    with pytest.raises(UndoorError, match="not a readable repair"):
        Repair.load(folder, model)


def test_unknown_site(folder: Path, model: Classifier) -> None:
    data = json.loads((folder / DESCRIPTION).read_text())
    data["sites"][0]["name"] = "network.99"
    edit(folder, {"sites": data["sites"]})
    with pytest.raises(UndoorError, match=r"no site 'network\.99'"):
        Repair.load(folder, model)


def test_a_file_is_no_repair(folder: Path, model: Classifier) -> None:
    """Somebody gives repair.json where its folder is wanted."""
    with pytest.raises(UndoorError):
        Repair.load(folder / DESCRIPTION, model)


@pytest.mark.parametrize("part", PARTS)
def test_tensors_of_another_shape(folder: Path, model: Classifier, part: str) -> None:
    """Refused when it is opened, not when the first request comes in."""
    tensors = load_file(folder / TENSORS)
    tensors[f"1/network.1/{part}"] = torch.ones(7, 7, 7)
    save_file(tensors, folder / TENSORS, {"model_sha256": model.fingerprint()})
    with pytest.raises(UndoorError, match=r"at 'network\.1' do not fit"):
        Repair.load(folder, model)


def test_tensors_of_another_model(folder: Path, model: Classifier, tmp_path: Path) -> None:
    """Two repairs of one architecture, their files mixed up: the stamp in the tensors tells."""
    make(random_classifier("conv_norm", seed=1)).save(tmp_path / "other")
    (folder / TENSORS).write_bytes((tmp_path / "other" / TENSORS).read_bytes())
    with pytest.raises(UndoorError):
        Repair.load(folder, model)
