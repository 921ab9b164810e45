"""A repair as data: what it says of itself, and which model it accepts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.export.folded import folded
from undoor.guard import guard
from undoor.repairs.adaptation import Adaptation
from undoor.repairs.contents import RepairContents
from undoor.repairs.encoding import encoded
from undoor.repairs.record import SCHEMA, Repair
from undoor.sites import find_sites


@pytest.fixture
def model() -> Classifier:
    return random_classifier("conv_norm")


def test_document(model: Classifier, tmp_path: Path) -> None:
    made = make_repair(model)
    made.save(tmp_path)
    data = json.loads((tmp_path / "repair.json").read_text())
    assert data == made.to_json()
    assert data["schema"] == SCHEMA == "undoor/repair/3"
    assert data["model_sha256"] == model.fingerprint()
    assert data["repair_sha256"] == made.sha256()
    assert [(site["target"], site["name"]) for site in data["sites"]] == [
        (target, site.name) for target in (1, 3) for site in find_sites(model)
    ]


def test_tensors_are_put_together_once(
    model: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be large: a document needs no more than the hash."""
    calls = []

    def counted(repair: RepairContents) -> bytes:
        calls.append(repair)
        return encoded(repair)

    for module in ("record", "file"):
        monkeypatch.setattr(f"undoor.repairs.{module}.encoded", counted)
    made = make_repair(model)
    made.save(tmp_path)
    made.to_json()
    assert len(calls) == 1
    loaded = Repair.load(tmp_path)
    assert loaded.to_json()["repair_sha256"] == made.sha256() == loaded.to_json()["repair_sha256"]
    assert len(calls) == 2


def test_calibration_in_numbers(model: Classifier) -> None:
    few, none = make_repair(model).to_json()["targets"]
    assert few["threshold"] == 1.5
    assert few["calibration"] == {
        "wanted_fpr": 0.02,
        "n": 4,
        "flagged": 0.25,
        "flagged_interval": [0.01, 0.81],
        "resolution": 0.2,
        "attainable": False,
        "needed": 49,
    }
    assert none["calibration"]["n"] == 0
    assert not none["calibration"]["attainable"]


def test_adapted_in_numbers(model: Classifier) -> None:
    made = make_repair(model)
    record = Adaptation(900, 57, 20, 0.0, 57, True)
    trials = (Trial("finest", None, 0.01, 0.9),)
    adapted = replace(made.targets[0], adapted=record, sia=None, trials=trials)
    first, second = replace(made, targets=(adapted, made.targets[1])).to_json()["targets"]
    assert first["adapted"] == record.to_json()
    assert first["sia"] is None
    assert second["adapted"] is None


@pytest.mark.parametrize(
    "other",
    [
        random_classifier("conv_norm", seed=1),
        random_classifier("conv"),
        Classifier(random_classifier("conv_norm").network, input_shape=(3, 6, 6), mean=[0.1]),
    ],
)
def test_another_model(model: Classifier, other: Classifier) -> None:
    made = make_repair(model)
    made.require_model(model)
    with pytest.raises(UndoorError, match=r"^mine: .*made for another model"):
        made.require_model(other, "mine")


def with_corrections(repair: Repair, corrections: dict[str, Correction]) -> Repair:
    first = replace(repair.targets[0], corrections=corrections)
    return replace(repair, targets=(first, *repair.targets[1:]))


def test_unknown_site(model: Classifier) -> None:
    made = make_repair(model)
    corrections = {"network.99": made.targets[0].corrections["entry"]}
    with pytest.raises(UndoorError, match=r"corrects 'network\.99', but .* no layer of that name"):
        with_corrections(made, corrections).require_model(model)


def test_a_layer_that_is_no_site_any_more(model: Classifier) -> None:
    """Norms that were not known as such had their corrections behind the convolutions: a repair
    from then still guards."""
    assert "network.0" not in {site.name for site in find_sites(model)}
    corrections = {"network.0": Correction(*(torch.full((5, 1, 1), v) for v in (0.5, 1, -9, 9)))}
    made = with_corrections(make_repair(model, (1,)), corrections)
    made.require_model(model)
    x = torch.rand(4, *model.input_shape)
    labels, flagged, _ = guard(model, made)(x)
    assert len(labels) == len(flagged) == 4
    with pytest.raises(UndoorError, match=r"network\.0 stands behind no .*; repair again, since"):
        folded(model, made)


@pytest.mark.parametrize("part", range(4))
def test_corrections_of_another_shape(model: Classifier, part: int) -> None:
    """Refused when it is opened, not when the first request comes in."""
    parts = [torch.ones(5, 6, 6)] * 4
    parts[part] = torch.ones(7, 7, 7)
    with pytest.raises(UndoorError, match=r"at 'network\.1' do not fit"):
        with_corrections(make_repair(model), {"network.1": Correction(*parts)}).require_model(model)


def test_another_number_of_classes(model: Classifier) -> None:
    made = make_repair(model)
    made = replace(made, contract=replace(made.contract, class_names=("a", "b", "c")))
    with pytest.raises(UndoorError, match="3 classes, got one of 4"):
        made.require_model(model)
