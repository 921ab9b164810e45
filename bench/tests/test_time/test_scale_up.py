"""SCALE-UP."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from helpers.tiny import random_classifier, random_inputs
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.test_time import Detector
from undoor_bench.test_time.scale_up import Settings, consistency, scale_up, scale_up_data_free

NONE = torch.Generator()


def brightness(bounds: tuple[float, float] = (0.0, 1.0)) -> Classifier:
    """Two pixels; class 0 where the first is brighter than twice the second and both not white."""
    network = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))
    return Classifier(network, input_shape=(2,), bounds=bounds)


def test_copies_are_cut_off_at_white() -> None:
    """The first pixel reaches 1 at factor 2; the second overtakes half of it beyond 5."""
    x = torch.tensor([[0.5, 0.1], [0.9, 0.0]])
    shares, labels = consistency(brightness(), x, (3, 4, 6, 8))
    assert labels.tolist() == [0, 0]
    assert shares.tolist() == [0.5, 1.0]


def test_scores_are_compared_with_clean_ones_of_the_same_answer() -> None:
    classifier = random_classifier("conv_norm", seed=6)
    images = random_inputs(classifier, 60)
    labels = classifier.predict(images)
    assert len(labels.unique()) > 1
    score = scale_up(classifier, CleanSet(images, labels), NONE)
    shares, _ = consistency(classifier, images, (3, 5, 7, 9, 11))
    for number in labels.unique():
        own = labels == number
        if own.sum() < 2:
            continue
        deviation = max(float(shares[own].std()), 0.2 / math.sqrt(12))
        expected = (shares[own] - shares[own].mean()) / deviation
        assert torch.allclose(score(images[own]), expected)


def test_a_class_without_images_has_the_statistics_of_all() -> None:
    classifier = brightness()
    # All of class 0; their shares are 1/2 and 1.
    clean = CleanSet(torch.tensor([[0.5, 0.1], [0.9, 0.0]]), torch.tensor([0, 0]))
    score = scale_up(classifier, clean, NONE, Settings((3, 4, 6, 8)))
    # Class 1 by far, whatever the factor: a share of 1.
    assert float(score(torch.tensor([[0.1, 0.5]]))) == pytest.approx((1 - 0.75) / 0.25)


def test_shares_that_are_all_equal() -> None:
    classifier = brightness()
    clean = CleanSet(torch.tensor([[0.9, 0.0], [0.8, 0.0]]), torch.tensor([0, 0]))
    score = scale_up(classifier, clean, NONE, Settings((3, 4, 6, 8)))
    same, less = score(torch.tensor([[0.7, 0.0], [0.5, 0.1]])).tolist()
    assert same == 0
    assert less == pytest.approx(-0.5 / (0.25 / math.sqrt(12)))


def test_without_comparison_the_score_is_the_share() -> None:
    clean = CleanSet(torch.tensor([[0.9, 0.0], [0.8, 0.0]]), torch.tensor([0, 0]))
    score = scale_up_data_free(brightness(), clean, NONE, Settings((3, 4, 6, 8)))
    assert score(torch.tensor([[0.5, 0.1], [0.9, 0.0]])).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("detector", [scale_up, scale_up_data_free])
@pytest.mark.parametrize("factors", [(), (3.0, 1.0)])
def test_factors_that_amplify_nothing(detector: Detector, factors: tuple[float, ...]) -> None:
    clean = CleanSet(torch.tensor([[0.9, 0.0], [0.0, 0.9]]), torch.tensor([0, 1]))
    with pytest.raises(UndoorError, match="above 1"):
        detector(brightness(), clean, NONE, Settings(factors))  # type: ignore[call-arg]
