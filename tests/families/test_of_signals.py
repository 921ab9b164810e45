"""Families of signals: candidates, their sizes, and the triggers that they become."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.families.family import AtInput
from undoor.families.registry import REGISTRY, families_for
from undoor.spaces.signals import SIGNALS
from undoor.triggers import ImpulseResponse, load_trigger

SHAPE, BOUNDS = (2, 256), (-1.0, 1.0)
OWN = [family for family in REGISTRY if family.spaces == {SIGNALS.name}]
SEARCHED = [family.name for family in OWN if family.at_size]
BANKS = {family.name: family for family in OWN if family.at_size is None}


def drawn(count: int = 3) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1)) - 0.5


def bank_of(name: str, count: int = 5):  # type: ignore[no-untyped-def]
    make = BANKS[name].make
    assert isinstance(make, AtInput)
    return make.bank(count, SHAPE, BOUNDS, torch.Generator().manual_seed(0))


def test_each_is_searched_at_one_size() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(512, 5))
    assert families_for(Classifier(network, input_shape=SHAPE, bounds=BOUNDS)) == tuple(SEARCHED)
    assert len(SEARCHED) == len(BANKS) == 5


@pytest.mark.parametrize("name", BANKS)
def test_a_trigger_does_what_its_candidate_does(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    bank, x = bank_of(name), drawn()
    with torch.no_grad():
        for parameter in bank.parameters():
            if parameter.requires_grad:
                parameter.mul_(5)
        changed = bank(x.expand(bank.count, *x.shape))
    for index in range(bank.count):
        trigger = bank.export(index)
        torch.testing.assert_close(trigger(x), changed[index], atol=1e-5, rtol=0)
        trigger.save(tmp_path / "trigger.npz")
        again = load_trigger(tmp_path / "trigger.npz", shape=SHAPE, bounds=BOUNDS)
        torch.testing.assert_close(again(x), trigger(x), atol=1e-5, rtol=0)
        other = bank_of(name)
        other.place((index + 1) % bank.count, trigger)
        placed = other(x.expand(bank.count, *x.shape))[(index + 1) % bank.count]
        # A mask is held away from 0 and 1, where it would not learn.
        torch.testing.assert_close(placed, trigger(x), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", BANKS)
def test_candidates_are_brought_back_to_a_size(name: str) -> None:
    bank = bank_of(name)
    with torch.no_grad():
        for parameter in bank.parameters():
            if parameter.requires_grad:
                parameter.mul_(100)
    bank.limit(4.0)
    assert float(bank.sizes().detach().max()) <= 4.0 + 1e-4


def test_a_filter_is_a_causal_convolution() -> None:
    taps = torch.tensor([0.5, 0.0, -0.25])
    x = torch.zeros(1, *SHAPE)
    x[0, 1, 10] = 0.4
    heard = ImpulseResponse("given", BOUNDS, taps, 2)(x)
    expected = torch.zeros_like(x)
    expected[0, 1, 10:13] = torch.tensor([0.6, 0.0, -0.1])
    torch.testing.assert_close(heard, expected, atol=1e-6, rtol=0)
    assert ImpulseResponse("given", BOUNDS, taps, 2).example_shape(32) == (2, 32)
