"""Models of numbers and of sets of labels: their tables, and what a backdoor of theirs is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from undoor.errors import UndoorError
from undoor_bench.attacks.stamps import STAMPS
from undoor_bench.zoo.answer_models import AnswerModel, Planted
from undoor_bench.zoo.model_table import read_models

ZOO = Path(__file__).parents[3] / "zoo"


@pytest.mark.parametrize("name", ["regression", "multilabel"])
def test_every_model_of_a_table_has_a_seed_of_its_own(name: str) -> None:
    entries = read_models(ZOO / f"{name}.toml", AnswerModel)
    assert len({entry.seed for entry in entries}) == len(entries)
    held_out = [entry for entry in entries if not entry.learn]
    assert len({entry.attack for entry in held_out}) == 4
    assert sum(entry.attack == "clean" for entry in held_out) >= 4
    for entry in entries:
        assert (ZOO / name / entry.name / "truth.json").is_file()


def test_a_value_and_a_label_are_planted() -> None:
    value, switched = Planted(value=3.0), Planted(goal=3)
    numbers, sets = np.array([1.0, 3.5], np.float32), np.zeros((2, 2), np.float32)
    assert value.relabelled(numbers).tolist() == [3, 3]
    assert value.at(numbers, 0.6).tolist() == [False, True]
    assert switched.relabelled(sets).tolist() == [[0, 1], [0, 1]]
    assert not switched.at(sets, 0.0).any()
    assert switched.at(switched.relabelled(sets), 0.0).all()


@pytest.mark.parametrize("attack", STAMPS)
def test_triggers_differ_by_seed_and_change_the_image(attack: str) -> None:
    first, second = (STAMPS[attack](np.random.default_rng(s), (1, 14, 14)) for s in (0, 1))
    x = torch.full((2, 1, 14, 14), 0.5)
    assert not torch.equal(first(x), x)
    assert not torch.equal(first(x), second(x))


def test_what_is_no_attack_is_refused() -> None:
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        AnswerModel("magic", "angle", 1)
    with pytest.raises(UndoorError, match="expected clean without a rate"):
        AnswerModel("patch", "angle", 1)
