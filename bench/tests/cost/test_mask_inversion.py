"""The rival: masks and patterns for one class after another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.tiny import CLASSES, SIDE, TARGET, clean_images, random_classifier, toy_classifier
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.scan import Budget
from undoor_bench.cost.mask_inversion import (
    Inversion,
    Settings,
    anomaly_indices,
    flagged,
    invert_class,
)

FEW = Settings(batches=3, batch=20)
IMAGES = clean_images().images


class Constant(nn.Module):
    """Answers class 1 whatever it sees, and counts the images that it and its copies saw."""

    seen = 0

    def forward(self, x: Tensor) -> Tensor:
        Constant.seen += len(x)
        return 0 * x.flatten(1)[:, :2] + torch.tensor([0.0, 5.0])


def constant() -> Classifier:
    return Classifier(Constant(), input_shape=(1, SIDE, SIDE))


def invert(
    classifier: Classifier,
    target: int,
    settings: Settings = FEW,
    cap: Budget | None = None,
    seed: int = 0,
) -> Inversion:
    generator = torch.Generator().manual_seed(seed)
    return invert_class(classifier, IMAGES, target, generator=generator, settings=settings, cap=cap)


def test_published_settings() -> None:
    """1,000 steps of as many batches of 32 as fit into 1,000 samples."""
    settings = Settings()
    assert settings.batches == 1000 // settings.batch == 31
    assert settings.most_passes == 31_000 * 32


def test_the_mask_of_a_planted_trigger_stands_out() -> None:
    """It covers no more than the trigger's four pixels, and no class takes all of the steps."""
    classifier = toy_classifier(backdoored=True)
    found = [invert(classifier, target) for target in range(CLASSES)]
    assert all(item.worked and item.stopped == "early stop" for item in found)
    sizes = [item.size for item in found]
    assert sizes[TARGET] < 4 < min(sizes[:TARGET] + sizes[TARGET + 1 :])
    assert TARGET in flagged(sizes)
    twin = invert(toy_classifier(backdoored=False), TARGET)
    assert twin.size > 3 * sizes[TARGET]


def test_every_image_that_the_network_sees_is_counted() -> None:
    classifier = constant()
    before = Constant.seen
    made = invert(classifier, 1, Settings(steps=4, batches=3, batch=20))
    assert (made.steps, made.stopped) == (4, "all steps")
    assert made.passes == Constant.seen - before == 4 * 3 * 20


def test_size_weighs_nothing_until_masks_work() -> None:
    """A mask that never moves enough images is left as it was drawn, about half of the image."""
    never = invert(constant(), 0, Settings(steps=30, batches=2, batch=4))
    assert not never.worked
    assert never.size == pytest.approx(SIDE**2 / 2, rel=0.15)
    always = invert(constant(), 1, Settings(steps=30, batches=2, batch=4))
    assert always.worked
    assert always.size < 0.5 * never.size
    late = invert(constant(), 1, Settings(steps=30, batches=2, batch=4, patience=40))
    assert late.size == pytest.approx(never.size)


def test_without_a_setback_there_is_no_early_stop() -> None:
    """The weight must have fallen once: a mask that always works is pressed down to the end."""
    made = invert(constant(), 1, Settings(steps=120, batches=1, batch=4, stop_patience=1))
    assert made.stopped == "all steps"


def test_impatience_saves_passes() -> None:
    classifier = toy_classifier(backdoored=True)
    patient = invert(classifier, 0, Settings(batches=3, batch=20, stop_patience=100))
    assert invert(classifier, 0).passes < patient.passes < FEW.most_passes


@pytest.mark.parametrize(
    ("cap", "steps"), [(Budget(passes=100), 2), (Budget(seconds=0), 1), (Budget(passes=120), 2)]
)
def test_a_cap_cuts_off(cap: Budget, steps: int) -> None:
    made = invert(constant(), 1, cap=cap)
    assert (made.steps, made.stopped) == (steps, "cut off")
    assert made.passes == steps * 60


def test_a_cap_that_comes_with_the_end_cuts_nothing_off() -> None:
    settings = Settings(steps=2, batches=3, batch=20)
    assert invert(constant(), 1, settings, Budget(passes=120)).stopped == "all steps"


def test_seeds() -> None:
    classifier = toy_classifier(backdoored=True)
    before = IMAGES.clone()
    one, same, other = (
        invert(classifier, 0, Settings(steps=3, batches=2, batch=8), seed=s) for s in (0, 0, 1)
    )
    assert one.size == same.size != other.size
    assert torch.equal(IMAGES, before)


def test_only_images() -> None:
    with pytest.raises(UndoorError, match=r"needs images, got inputs of \(8,\)"):
        invert(random_classifier("mlp"), 0)


def test_outliers() -> None:
    """Masks far below the median are flagged, those far above are not."""
    sizes = [10.0, 11.0, 9.5, 10.5, 2.0, 60.0]
    assert flagged(sizes) == [4]
    deviation = 1.4826 * np.median(np.abs(np.array(sizes) - np.median(sizes)))
    assert anomaly_indices(sizes)[4] == pytest.approx((10.25 - 2) / deviation)


def test_equal_masks() -> None:
    assert anomaly_indices([3.0] * 4) == [0.0] * 4
    assert flagged([3.0] * 4) == []
    assert flagged([3.0, 3.0, 3.0, 3.0, 1.0]) == [4]
