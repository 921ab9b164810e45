"""What newcomers give by mistake: each is refused in one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import clean_images, random_classifier, toy_classifier
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import Guarded
from undoor.repair import Repair
from undoor.scan.report import ScanReport

x = torch.rand(2, 3, 6, 6)
WRONG: list[Any] = [
    x[:, :1],
    x[0],
    torch.rand(2, 3, 12, 12),
    x.double(),
    x.numpy(),
    (x * 255).byte(),
    [1, 2],
    None,
]


def anything(value: object) -> Any:
    """What a type checker does not look at."""
    return value


def nothing() -> Any:
    return None


@pytest.fixture(scope="module")
def model() -> Classifier:
    return random_classifier("conv_norm")


@pytest.fixture(scope="module")
def guarded(model: Classifier) -> Guarded:
    return undoor.guard(model, make_repair(model))


@pytest.mark.parametrize("wrong", WRONG)
def test_inputs_that_are_none(model: Classifier, guarded: Guarded, wrong: Any) -> None:
    """One channel passes a normalisation for three, and pooling makes any size fit."""
    for use in (model.predict, model.logits, guarded, guarded.logits):
        with pytest.raises(UndoorError, match=r"expected inputs.*got"):
            use(wrong)


def test_inputs_that_are_right(model: Classifier, guarded: Guarded) -> None:
    assert len(model.predict(x)) == len(guarded(x)[0]) == 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda c, r, f: undoor.scan(c.network, clean_images()), "undoor.Classifier"),
        (lambda c, r, f: undoor.scan(nothing(), clean_images()), "undoor.Classifier"),
        (lambda c, r, f: undoor.repair(c, clean_images(), nothing()), "undoor.scan"),
        (lambda c, r, f: undoor.repair(anything(clean_images()), c, r), "undoor.Classifier"),
        (lambda c, r, f: undoor.guard(c, nothing()), "undoor.repair"),
        (lambda c, r, f: undoor.adapt(c, clean_images(), nothing(), x), "undoor.repair"),
        (lambda c, r, f: undoor.evaluate(c, f, clean_images(), clean_images(), 2), "undoor.guard"),
        (
            lambda c, r, f: undoor.repair(c, clean_images(), r, force_targets=anything(["a"])),
            "got 'a'",
        ),
        (lambda c, r, f: undoor.repair(c, clean_images(), r, force_targets=[99]), "got 99"),
        (lambda c, r, f: undoor.repair(c, clean_images(), r, suspects=anything("x")), "got 'x'"),
    ],
)
def test_arguments_of_another_kind(
    call: Callable[[Any, Any, Any], object],
    said: str,
    toy_report: ScanReport,
    toy_repair: Repair,
) -> None:
    """Before any budget is spent."""
    with pytest.raises(UndoorError) as refused:
        call(toy_classifier(backdoored=True, norm=True), toy_report, toy_repair)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
