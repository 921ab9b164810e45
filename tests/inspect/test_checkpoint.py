"""A checkpoint without its architecture."""

from __future__ import annotations

import torch
from torch import nn

from undoor.inspect.checkpoint import inspect_checkpoint


def test_what_tensors_tell() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 7))
    facts = inspect_checkpoint(net.state_dict())
    assert (facts.classes, facts.channels) == (7, 1)
    assert facts.parameters == sum(p.numel() for p in net.parameters())
    assert facts.tensors["3.weight"] == (7, 4)


def test_nothing_to_guess_by() -> None:
    facts = inspect_checkpoint({"a": torch.tensor([1.0, float("inf")]), "b": torch.arange(3)})
    assert (facts.classes, facts.channels, facts.not_finite) == (None, None, ("a",))
