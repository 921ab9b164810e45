"""STRIP."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from helpers.tiny import random_classifier, random_inputs
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.signal_networks import SignalCNN
from undoor_bench.test_time.strip import Settings, entropy, strip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("own", "laid_over"), [(1.0, 1.0), (0.5, 0.5)])
def test_the_score_by_hand(own: float, laid_over: float) -> None:
    """Two clean images, each laid over the input twice."""
    classifier = random_classifier("conv_norm")
    clean = CleanSet(random_inputs(classifier, 2), torch.tensor([0, 1]))
    x = random_inputs(classifier, 7, seed=2)
    expected = torch.zeros(7, dtype=torch.float64)
    for overlay in clean.images:
        p = F.softmax(classifier((own * x + laid_over * overlay).clamp(0, 1)).double(), 1)
        expected += (p * p.log2()).sum(1) / 2
    score = strip(classifier, clean, seeded(), Settings(4, own, laid_over))
    assert torch.allclose(score(x), expected, atol=1e-5)


def test_recordings_are_added_around_silence() -> None:
    classifier = Classifier(
        SignalCNN(3, channels=1, width=4).eval(), input_shape=(1, 64), bounds=(-1.0, 1.0)
    )
    generator = seeded()
    clean = CleanSet(torch.rand(2, 1, 64, generator=generator) - 0.5, torch.tensor([0, 1]))
    x = torch.rand(5, 1, 64, generator=generator) - 0.5
    p = [F.softmax(classifier(x + overlay).double(), 1) for overlay in clean.images]
    expected = torch.stack([(each * each.log2()).sum(1) / 2 for each in p]).sum(0)
    assert torch.allclose(strip(classifier, clean, seeded(), Settings(2))(x), expected, atol=1e-5)
    # Silence laid over an input changes nothing.
    silent = CleanSet(torch.zeros(2, 1, 64), torch.tensor([0, 1]))
    alone = F.softmax(classifier(x).double(), 1)
    found = strip(classifier, silent, seeded(), Settings(2))(x)
    assert torch.allclose(found, (alone * alone.log2()).sum(1), atol=1e-5)


def test_every_image_comes_once_before_any_comes_again() -> None:
    """Otherwise other seeds would give other scores here."""
    classifier = random_classifier("conv_norm")
    clean = CleanSet(random_inputs(classifier, 8), torch.arange(8) % 4)
    x = random_inputs(classifier, 5, seed=2)
    one, two = [strip(classifier, clean, seeded(s), Settings(8))(x) for s in (0, 1)]
    first, second = [strip(classifier, clean, seeded(s), Settings(4))(x) for s in (0, 1)]
    assert torch.allclose(one, two, atol=1e-9)
    assert not torch.allclose(first, second, atol=1e-4)


def test_entropy_lies_between_none_and_that_of_a_guess() -> None:
    logits = 30 * torch.randn(200, 5, generator=seeded())
    bits = entropy(logits)
    assert bool((bits >= 0).all())
    assert bool((bits <= math.log2(5)).all())
    assert float(entropy(torch.zeros(1, 5))) == pytest.approx(math.log2(5))
    # Shifting all logits changes no answer.
    assert torch.allclose(entropy(logits + 7), bits, atol=1e-4)


def test_no_overlays() -> None:
    classifier = random_classifier("conv_norm")
    clean = CleanSet(random_inputs(classifier, 2), torch.tensor([0, 1]))
    with pytest.raises(UndoorError, match="overlays must be at least 1, got 0"):
        strip(classifier, clean, seeded(), Settings(0))
