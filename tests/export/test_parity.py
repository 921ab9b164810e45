"""Comparing an exported graph with the guarded model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.errors import UndoorError
from undoor.export.parity import Outputs, compare, given_as_they_are, probes
from undoor.guard import Guarded, guard
from undoor.triggers import Latent


@pytest.fixture(scope="module")
def guarded() -> Guarded:
    model = random_classifier("conv_norm")
    return guard(model, make_repair(model, tuple(range(4))))


@pytest.fixture(scope="module")
def batches() -> list[Tensor]:
    model = random_classifier("conv_norm")
    return probes(model, [item.trigger for item in make_repair(model).targets])


def test_probes(batches: list[Tensor]) -> None:
    """Plain and stamped with both triggers, within the bounds."""
    assert [len(batch) for batch in batches] == [1, 2, 7] * 3
    assert all(0 <= float(batch.min()) <= float(batch.max()) <= 1 for batch in batches)
    assert not torch.equal(batches[0], batches[3])


def test_probes_without_triggers_of_the_input() -> None:
    model = random_classifier("conv_norm")
    assert len(probes(model, [Latent("latent late", torch.ones(5), "network.1")])) == 3


def test_itself(guarded: Guarded, batches: list[Tensor]) -> None:
    parity = compare(guarded, guarded.logits, given_as_they_are(batches))
    assert parity.largest == 0
    assert 20 < parity.inputs <= 30


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("size", [1e-3, float("nan"), float("inf")])
def test_differences(guarded: Guarded, batches: list[Tensor], place: int, size: float) -> None:
    def run(x: Tensor) -> Outputs:
        answers = list(guarded.logits(x))
        flip = answers[place].dtype == torch.bool
        answers[place] = ~answers[place] if flip else answers[place] + size
        return answers[0], answers[1], answers[2]

    with pytest.raises(UndoorError, match=r"disagrees with.*nothing was written"):
        compare(guarded, run, given_as_they_are(batches))


@pytest.mark.parametrize("rows", [slice(0, 0), slice(0, 1)])
def test_missing_rows(guarded: Guarded, rows: slice) -> None:
    def run(x: Tensor) -> Outputs:
        logits, flagged, score = guarded.logits(x)
        return logits[rows], flagged[rows], score[rows]

    with pytest.raises(UndoorError, match="disagrees with"):
        compare(guarded, run, given_as_they_are([torch.rand(3, 3, 6, 6)]))


def test_rounding_is_allowed(guarded: Guarded, batches: list[Tensor]) -> None:
    def run(x: Tensor) -> Outputs:
        logits, flagged, score = guarded.logits(x)
        return logits + 3e-5, flagged, score - 3e-5

    assert 2e-5 < compare(guarded, run, given_as_they_are(batches)).largest < 4e-5


def test_close_calls_may_fall_to_either_side() -> None:
    """A score that lies at the threshold up to rounding is no difference of the graphs."""
    model = random_classifier("conv_norm")
    x = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    target = int(model(x).argmax())
    made = make_repair(model, (target,))
    score = float(guard(model, made).logits(x)[2])
    item = made.targets[0]
    item = replace(item, calibration=replace(item.calibration, threshold=score - 1e-6))
    guarded = guard(model, replace(made, targets=(item,)))

    def run(x: Tensor) -> Outputs:
        logits, flagged, score = guarded.logits(x)
        return logits, ~flagged, score

    assert compare(guarded, run, given_as_they_are([x])).inputs == 0
