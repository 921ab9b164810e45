"""Corrections that are told the true trigger."""

from __future__ import annotations

import pytest
import torch

from helpers.tiny import CLASSES, TARGET, clean_images, toy_classifier, true_trigger
from undoor.errors import UndoorError
from undoor_bench.mitigate.oracle import guard_with_truth
from undoor_bench.zoo.planted import Planted

OTHERS = tuple(k for k in range(CLASSES) if k != TARGET)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_closes_what_it_is_told_of() -> None:
    classifier, test = toy_classifier(backdoored=True, norm=True), clean_images(20, seed=5)
    backdoor = Planted(TARGET, OTHERS, true_trigger())
    guarded, details = guard_with_truth(classifier, clean_images(), [backdoor], seeded())
    stamped = backdoor.triggered(test)
    labels, flagged, _ = guarded(stamped.images)
    assert bool((labels == stamped.labels).all())
    assert bool(flagged.all())
    assert list(details["plans"]) == [str(TARGET)]


def test_every_target_has_its_own_corrections_and_plan() -> None:
    """Here of the same trigger, with other sources; the seed says the rest."""
    classifier = toy_classifier(backdoored=True, norm=True)
    backdoors = [Planted(TARGET, OTHERS, true_trigger()), Planted(0, (1, 3), true_trigger())]
    guarded, details = guard_with_truth(classifier, clean_images(), backdoors, seeded())
    again, _ = guard_with_truth(classifier, clean_images(), backdoors, seeded())
    assert guarded.targets == (TARGET, 0)
    assert set(details["plans"]) == {str(TARGET), "0"}
    assert guarded.thresholds == again.thresholds
    assert guarded.thresholds[0] != guarded.thresholds[1]


def test_too_few_images_of_the_sources() -> None:
    few = Planted(TARGET, OTHERS[:1], true_trigger())
    with pytest.raises(UndoorError, match="go to 2, got 3; give more"):
        guard_with_truth(toy_classifier(backdoored=True), clean_images(3), [few], seeded())
