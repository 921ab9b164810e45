"""What newcomers give by mistake: each is refused in one line that says what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
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
            "got ['a']",
        ),
        (lambda c, r, f: undoor.repair(c, clean_images(), r, force_targets=[99]), "got 99"),
        (lambda c, r, f: undoor.repair(c, clean_images(), r, suspects=anything("x")), "got 'x'"),
        (lambda c, r, f: undoor.scan(c, clean_images(), seed=anything("a")), "expected a whole"),
        (lambda c, r, f: undoor.scan(c, clean_images(), max_seconds=anything("a")), "a number or"),
        (lambda c, r, f: undoor.scan(c, clean_images(), budget=anything(5)), "undoor.Budget(pas"),
        (lambda c, r, f: undoor.Budget(passes=anything("a")), "passes: expected a whole number"),
        (lambda c, r, f: undoor.Budget(seconds=float("nan")), "at least 0, got nan"),
        (lambda c, r, f: undoor.Thresholds(alpha=anything("a")), "alpha: expected a number, got"),
        (lambda c, r, f: undoor.Resizing(size=anything(32)), "size: expected 2 numbers, got 32"),
        (
            lambda c, r, f: undoor.Resizing((224, 224), first=anything((300,))),
            "first: expected 2 numbers, a whole number or None, got (300,)",
        ),
        (lambda c, r, f: undoor.Journal(nothing()), "folder: expected text or a path, got None"),
        (lambda c, r, f: undoor.Classifier(c.network, input_shape=anything(32)), "several num"),
        (lambda c, r, f: undoor.Classifier(c.network, input_shape=(1, anything("a"))), "'a')"),
        (
            lambda c, r, f: undoor.Classifier(c.network, input_shape=(1, 8, 8), bounds=anything(1)),
            "bounds: expected 2 numbers or None, got 1; give a tuple",
        ),
        (lambda c, r, f: undoor.load(nothing()), "model: expected text or a path, got None"),
        (lambda c, r, f: undoor.evaluate(c, nothing(), r, r, anything("a")), "undoor.guard"),
        (lambda c, r, f: undoor.export(c, f, nothing()), "file: expected text or a path, got N"),
        (lambda c, r, f: undoor.CleanSet.from_folder(nothing()), "path: expected text or a path"),
        (lambda c, r, f: undoor.adapt(c, clean_images(), f, x1(c), flagged={}), "of class 2"),
        (lambda c, r, f: c.predict(x1(c), anything("a")), "batch_size: expected a whole number"),
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
    assert "; " in str(refused.value)


VERBS = ("scan", "repair", "guard", "adapt", "evaluate", "export", "load", "inspect", "Classifier")
# Their own checks say more than their annotations.
CHECKED_ELSEWHERE = {"clean", "triggered", "options", "to"}


def arguments() -> list[tuple[str, str]]:
    """Every argument of every public verb."""
    return [
        (verb, name)
        for verb in VERBS
        for name in inspect.signature(getattr(undoor, verb)).parameters
        if name not in CHECKED_ELSEWHERE
    ]


@pytest.mark.parametrize(("verb", "name"), arguments())
def test_no_argument_may_be_anything(
    verb: str, name: str, toy_report: ScanReport, toy_repair: Repair
) -> None:
    """Whatever the argument: an object of no kind is refused before anything is computed."""
    classifier = toy_classifier(backdoored=True, norm=True)
    right = {
        "classifier": classifier,
        "clean": clean_images(),
        "triggered": clean_images(),
        "report": toy_report,
        "repair": toy_repair,
        "guarded": undoor.guard(classifier, toy_repair),
        "target": 1,
        "inputs": x1(classifier),
        "file": "a.onnx",
        "model": "model.toml",
        "network": classifier.network,
        "input_shape": classifier.input_shape,
    }
    function = getattr(undoor, verb)
    taken = inspect.signature(function).parameters
    given = {key: value for key, value in right.items() if key in taken}
    with pytest.raises(UndoorError, match=rf"^{name}: expected .*, got object; \w"):
        function(**{**given, name: object()})


def x1(classifier: Classifier) -> torch.Tensor:
    return classifier.examples(2)


def test_numbers_of_numpy_are_numbers() -> None:
    classifier = toy_classifier(backdoored=True)
    shape = np.array(classifier.input_shape)
    again = Classifier(
        classifier.network, input_shape=anything(shape), scale=anything(np.float32(1))
    )
    assert again.input_shape == classifier.input_shape
    report = undoor.scan(again, clean_images(), seed=anything(np.int64(3)), max_seconds=1e-9)
    assert type(report.seed) is int
