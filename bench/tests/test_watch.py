"""Looking at what modules deliver."""

from __future__ import annotations

import pytest
import torch

from bench_helpers.rival_work import CLEAN
from helpers.tiny import assert_unchanged, snapshot, toy_classifier
from undoor_bench.watch import watched

LAYERS = ["network.0", "network.1"]


def test_sees_the_last_pass_and_leaves_nothing_behind() -> None:
    classifier = toy_classifier(backdoored=False)
    before = snapshot(classifier)
    with watched(classifier, LAYERS) as seen:
        classifier(CLEAN.images[:3])
        classifier(CLEAN.images[3:5])
    conv, leaky = (classifier.get_submodule(name) for name in LAYERS)
    assert torch.equal(seen["network.0"], conv(CLEAN.images[3:5]))
    assert torch.equal(seen["network.1"], leaky(seen["network.0"]))
    classifier(CLEAN.images)
    assert len(seen["network.0"]) == 2
    assert_unchanged(classifier, before)
    assert not any(module._forward_hooks for module in classifier.modules())


def test_leaves_nothing_behind_after_an_error() -> None:
    classifier = toy_classifier(backdoored=False)
    with pytest.raises(ZeroDivisionError), watched(classifier, LAYERS):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in classifier.modules())
