"""Predictions on fixed inputs, to what rounding allows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.identity.probes import (
    MAX_CLASSES,
    probe_difference,
    probe_logits,
    probe_shares,
)


@pytest.mark.parametrize("shape", [(8,), (1, 4, 4), (3, 6, 5), (2, 30)])
def test_inputs(shape: tuple[int, ...]) -> None:
    x = probe_shares(shape)
    assert x.shape == (8, *shape)
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1
    assert len({row.numpy().tobytes() for row in x}) == 8
    assert torch.equal(x, probe_shares(shape))


def test_logits_are_those_of_the_inputs() -> None:
    model = random_classifier("conv_norm")
    state = torch.get_rng_state()
    found = torch.tensor(probe_logits(model))
    assert torch.equal(torch.get_rng_state(), state)
    expected = model(model.space.at(probe_shares(model.input_shape), model.bounds))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert probe_difference(probe_logits(model), probe_logits(model.fast_copy())) is None


def test_many_classes(make_classifier: Any) -> None:
    found = probe_logits(make_classifier(num_classes=1000))
    assert [len(row) for row in found] == [63] * 8
    assert len(found[0]) <= MAX_CLASSES


def test_logits_that_are_not_finite() -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # Infinite for the probe of one grey alone.
            scores = x.flatten(1)[:, :2]
            return torch.where((x.flatten(1).std(1) == 0)[:, None], torch.inf, scores)

    found = probe_logits(Classifier(Odd(), input_shape=(1, 4, 4)))
    assert found[3] == found[4] == (None, None)
    assert probe_difference(found, found) is None
    assert probe_difference(found, (*found[:3], (1.0, 1.0), *found[4:])) == float("inf")


def test_differences() -> None:
    one = ((10.0, -100.0),)
    assert probe_difference(one, ((10.5, -100.9),)) is None
    assert probe_difference(one, ((10.0, -102.0),)) == pytest.approx(0.02)
    assert probe_difference(one, ((10.0,),)) == float("inf")
    assert probe_difference(((0.0, 0.0),), ((0.0, 0.1),)) == float("inf")
    assert probe_difference(((0.0, 0.0),), ((0.0, 0.0),)) is None
