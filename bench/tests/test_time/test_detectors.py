"""Detectors of triggered inputs, each on its own and all alike."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from helpers.tiny import (
    TARGET,
    assert_unchanged,
    clean_images,
    random_classifier,
    random_inputs,
    snapshot,
    toy_classifier,
    true_trigger,
)
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.evaluate import auroc
from undoor_bench.test_time import DETECTORS, threshold_at

every = pytest.mark.parametrize("name", list(DETECTORS))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def triggered(clean: CleanSet) -> Tensor:
    return true_trigger()(clean.images[clean.labels != TARGET])


@every
def test_triggered_inputs_score_above_clean_ones(name: str) -> None:
    built_from, new = clean_images(20), clean_images(20, seed=5)
    score = DETECTORS[name](toy_classifier(backdoored=True, norm=True), built_from, seeded())
    area = auroc(score(triggered(new)), score(new.images)).value
    # One class keeps its label when amplified, which only a comparison with clean images sees.
    assert area == 1 or (name == "scale_up_data_free" and area is not None and area > 0.9)


@every
def test_without_a_backdoor_the_sticker_says_nothing(name: str) -> None:
    built_from, new = clean_images(20), clean_images(20, seed=5)
    score = DETECTORS[name](toy_classifier(backdoored=False, norm=True), built_from, seeded())
    area = auroc(score(triggered(new)), score(new.images)).value
    assert area is not None
    assert 0.35 < area < 0.65


@every
def test_clean_images_hold_the_wanted_rate(name: str) -> None:
    """Calibrated on images that the detector has not seen."""
    score = DETECTORS[name](toy_classifier(backdoored=True, norm=True), clean_images(10), seeded())
    threshold = threshold_at(score(clean_images(50, seed=1).images), 0.05)
    # 15 of 300 are expected, and as both sets are drawn, with a deviation of 5.3.
    assert (score(clean_images(50, seed=2).images) > threshold).sum() <= 35


@every
def test_scores_are_those_of_single_inputs(name: str) -> None:
    score = DETECTORS[name](toy_classifier(backdoored=True, norm=True), clean_images(5), seeded())
    x = clean_images(60, seed=3).images
    scores = score(x)
    assert scores.shape == (360,)
    assert scores.dtype == torch.float64
    singles = torch.cat([score(x[i : i + 1]) for i in (0, 100, 359)])
    assert torch.allclose(scores[[0, 100, 359]], singles, rtol=1e-4, atol=1e-6)
    assert score(x[:0]).shape == (0,)


@every
def test_the_same_seed_gives_the_same_scores(name: str) -> None:
    classifier, clean = toy_classifier(backdoored=True, norm=True), clean_images(30)
    x = clean_images(5, seed=3).images
    once, again, other = (DETECTORS[name](classifier, clean, seeded(s))(x) for s in (0, 0, 1))
    assert torch.equal(once, again)
    assert torch.equal(once, other) == (name != "strip")


@every
@pytest.mark.parametrize("bounds", [(0.0, 255.0), (-1.0, 1.0)])
def test_other_bounds(name: str, bounds: tuple[float, float]) -> None:
    """The same network behind other raw values: nothing changes but their unit."""
    low, high = bounds
    plain = random_classifier("conv_norm", seed=6)
    moved = Classifier(
        plain.network,
        input_shape=plain.input_shape,
        bounds=bounds,
        scale=1 / (high - low),
        mean=[low / (high - low)],
    )
    clean = CleanSet(random_inputs(plain, 20), torch.arange(20) % 4)
    x = random_inputs(plain, 50, seed=3)
    there = dataclasses.replace(clean, images=low + (high - low) * clean.images)
    here = DETECTORS[name](plain, clean, seeded())(x)
    assert float(here.std()) > 0
    assert torch.allclose(
        DETECTORS[name](moved, there, seeded())(low + (high - low) * x), here, rtol=1e-3, atol=1e-5
    )


@every
def test_nothing_is_changed(name: str) -> None:
    classifier, clean = toy_classifier(backdoored=True, norm=True), clean_images(5)
    before, images = snapshot(classifier), clean.images.clone()
    x = clean_images(2, seed=3).images
    kept = x.clone()
    DETECTORS[name](classifier, clean, seeded())(x)
    assert_unchanged(classifier, before)
    assert torch.equal(clean.images, images)
    assert torch.equal(x, kept)


@every
def test_what_does_not_fit_is_refused(name: str) -> None:
    classifier, clean = toy_classifier(backdoored=True, norm=True), clean_images(5)
    empty = CleanSet(clean.images[:0], clean.labels[:0])
    with pytest.raises(UndoorError, match="empty"):
        DETECTORS[name](classifier, empty, seeded())
    score = DETECTORS[name](classifier, clean, seeded())
    with pytest.raises(UndoorError, match=r"\(N, 1, 8, 8\), got \(1, 8, 8\)"):
        score(clean.images[0])


@every
def test_classes_may_lack_images(name: str) -> None:
    clean = clean_images(5)
    some = CleanSet(clean.images[clean.labels < 3], clean.labels[clean.labels < 3])
    score = DETECTORS[name](toy_classifier(backdoored=True, norm=True), some, seeded())
    assert bool(score(clean.images).isfinite().all())
