"""Repairs of texts: their triggers are words, whose ids no bounds of pixels describe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny_texts import WORDS, tiny_classifier, tiny_texts
from undoor.errors import UndoorError
from undoor.repairs.record import Repair
from undoor.triggers import Insertion
from undoor.triggers.insertion import START

PLANTED = ("cf", "mn")


def planted_repair() -> Repair:
    classifier = tiny_classifier(PLANTED)
    ids = torch.tensor([float(WORDS.index(word)) for word in PLANTED])
    words = Insertion("given", classifier.bounds, ids, START, 0, (0, 0), " ".join(PLANTED))
    made = make_repair(classifier, (1,))
    return replace(
        made, targets=tuple(replace(item, trigger=words, sources=(0,)) for item in made.targets)
    )


def test_a_repair_of_texts_is_read_as_it_was_written(tmp_path: Path) -> None:
    classifier, made = tiny_classifier(PLANTED), planted_repair()
    again = undoor.Repair.load(made.save(tmp_path / "fix"), classifier)
    assert again.sha256() == made.sha256()
    trigger = again.targets[0].trigger
    assert isinstance(trigger, Insertion)
    assert trigger.words == "cf mn"
    x = tiny_texts().images
    assert torch.equal(trigger(x), made.targets[0].trigger(x))
    assert trigger.bounds == classifier.bounds


def test_ids_that_the_model_does_not_have_are_refused(tmp_path: Path) -> None:
    classifier, made = tiny_classifier(PLANTED), planted_repair()
    (item,) = made.targets
    assert isinstance(item.trigger, Insertion)
    beyond = replace(item.trigger, tokens=torch.tensor([float(len(WORDS))]))
    file = replace(made, targets=(replace(item, trigger=beyond),)).save(tmp_path / "fix")
    with pytest.raises(UndoorError, match="tokens with ids from 0 to"):
        undoor.Repair.load(file, classifier)


@pytest.mark.parametrize("ending", ["onnx", "pt2"])
def test_a_repaired_model_of_texts_is_exported(ending: str, tmp_path: Path) -> None:
    classifier, made = tiny_classifier(PLANTED), planted_repair()
    assert undoor.export(classifier, made, tmp_path / f"m.{ending}").parity.inputs > 20


def test_ids_beyond_the_vocabulary_are_flagged_and_end_no_batch() -> None:
    classifier = tiny_classifier(PLANTED)
    x = tiny_texts().images[:5].clone()
    for row, value in enumerate((float(len(WORDS)) + 9, torch.nan, torch.inf, -torch.inf)):
        x[row, 0] = value
    _, flagged, _ = undoor.guard(classifier, planted_repair())(x)
    assert flagged[:4].all()
