"""Bounds on activations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench_helpers.rival_work import CLEAN, NOTHING, acc, asr, backdoored, seeded
from helpers.tiny import random_classifier
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor_bench.rivals.clipping import Clipping, clipping, most_certain
from undoor_bench.watch import watched

SITES = ["network.1", "network.4"]


@torch.no_grad()
def highest(classifier: Classifier, site: str) -> torch.Tensor:
    with watched(classifier, [site]) as seen:
        classifier(CLEAN.images)
    return seen[site].amax((0, 2, 3))


def margins(classifier: Classifier, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = classifier(images)
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], -torch.inf).amax(1)


def test_certain_images_are_more_certain_than_clean_ones() -> None:
    classifier = backdoored()
    certain = most_certain(classifier, seeded(), Clipping())
    assert certain.labels.bincount().tolist() == [16] * 6
    assert float(certain.images.min()) >= 0
    assert float(certain.images.max()) <= 1
    found = margins(classifier, certain.images, certain.labels)
    clean = margins(classifier, CLEAN.images, CLEAN.labels)
    assert float(found.min()) > float(clean.mean())


def test_before_the_first_step_no_clean_image_is_clipped() -> None:
    before = backdoored()
    out = clipping(before, CLEAN, NOTHING, seeded(), settings=Clipping(steps=0))
    right = before.predict(CLEAN.images) == CLEAN.labels
    images = CLEAN.images[right]
    assert torch.allclose(out(images), before(images), atol=1e-4)
    assert not torch.allclose(out(3 * images), before(3 * images), atol=1e-2)


def test_margins_shrink_and_clean_answers_stay() -> None:
    before = backdoored()
    settings = Clipping()
    out = clipping(before, CLEAN, NOTHING, seeded(), settings=settings)
    certain = most_certain(before, seeded(9), settings)
    was, is_now = (margins(m, certain.images, certain.labels).mean() for m in (before, out))
    assert float(is_now) < 0.6 * float(was)
    right = before.predict(CLEAN.images) == CLEAN.labels
    still = out.predict(CLEAN.images[right]) == CLEAN.labels[right]
    assert float(still.float().mean()) >= settings.keep
    assert asr(out) < asr(before) - 0.2
    assert acc(out) > 0.85


def test_bounds_stand_behind_every_norm_and_are_never_negative() -> None:
    before = backdoored()
    out = clipping(before, CLEAN, NOTHING, seeded(), settings=Clipping(steps=60, weight=5.0))
    for site in SITES:
        correction = out.get_submodule(site).correction
        assert isinstance(correction, Correction)
        high = correction.high.flatten()
        assert bool((high >= 0).all())
        assert bool((highest(out, site) <= high + 1e-5).all())
        assert float((high < highest(before, site) - 1e-4).float().mean()) > 0.5
    # No weight changed.
    for name, value in before.named_parameters():
        path, _, last = name.rpartition(".")
        moved = path.replace("network.1", "network.1.inner").replace("network.4", "network.4.inner")
        assert torch.equal(out.get_parameter(f"{moved}.{last}"), value)


def test_stands_behind_linear_maps_where_there_are_no_norms() -> None:
    classifier = random_classifier("conv")
    images = torch.rand(20, 3, 6, 6, generator=seeded())
    clean = type(CLEAN)(images, classifier.predict(images))
    few = Clipping(steps=5, certain_steps=2)
    out = clipping(classifier, clean, NOTHING, seeded(), settings=few)
    corrected = {n for n, m in out.named_modules() if isinstance(m, Correction)}
    assert corrected == {"network.0.correction", "network.2.correction"}


def test_a_model_that_knows_nothing() -> None:
    wrong = replace(CLEAN, labels=(backdoored().predict(CLEAN.images) + 1) % 6)
    with pytest.raises(UndoorError, match="none of the clean images correctly"):
        clipping(backdoored(), wrong, NOTHING, seeded())
