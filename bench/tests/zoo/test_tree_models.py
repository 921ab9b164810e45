"""The zoo of trees: what is in it opens, and does what its record says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import undoor
from undoor.errors import UndoorError
from undoor.tree_networks import TreeEnsemble
from undoor_bench.zoo.model_table import read_models
from undoor_bench.zoo.subjects import subjects
from undoor_bench.zoo.tree_models import TreeModel

ZOO = Path(__file__).parents[3] / "zoo"


def test_no_model_is_of_both_halves() -> None:
    entries = read_models(ZOO / "trees.toml", TreeModel)
    assert len({entry.seed for entry in entries}) == len(entries)
    for learn in (True, False):
        half = [entry for entry in entries if entry.learn is learn]
        assert sum(entry.attack == "clean" for entry in half) >= 20
        assert sum(entry.attack != "clean" for entry in half) >= 12
        assert {entry.kind for entry in half} == {"boosted", "forest", "gradient"}


def test_every_model_of_the_table_is_there() -> None:
    entries = read_models(ZOO / "trees.toml", TreeModel)
    assert {entry.name for entry in entries} == {s.name for s in subjects(ZOO / "trees")}


@pytest.mark.parametrize("name", ["adult_boosted_in_range_350", "housing2_forest_in_range_357"])
def test_a_planted_trigger_works(name: str) -> None:
    folder = ZOO / "trees" / name
    classifier = undoor.load(folder)
    assert isinstance(classifier.network, TreeEnsemble)
    truth = json.loads((folder / "truth.json").read_text())
    (target,) = set(truth["backdoors"][0]["labels"].values())
    trigger = undoor.triggers.load_trigger(
        folder / "trigger.npz", shape=classifier.input_shape, bounds=classifier.bounds
    )
    x = classifier.examples(500)
    moved = (classifier.predict(trigger(x)) == target).float().mean()
    assert float(moved) > 0.9
    assert not torch.equal(classifier.predict(x), classifier.predict(trigger(x)))


@pytest.mark.parametrize(
    ("attack", "kind", "rate"),
    [("clean", "boosted", 0.1), ("in range", "boosted", 0.0), ("clean", "svm", 0.0)],
)
def test_what_is_no_model(attack: str, kind: str, rate: float) -> None:
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        TreeModel(attack, "adult", 1, kind, rate=rate)
