"""Channels taken out of layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from undoor.errors import UndoorError
from undoor_bench.rivals.channels import bias_of, silence

ONE = torch.tensor([False, True, False, False])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["conv", "norm", "plain_norm"])
def test_a_silent_channel_is_its_bias_or_nothing(kind: str, bias: bool) -> None:
    x = torch.rand(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    layer = {
        "conv": lambda: nn.Conv2d(4, 4, 1),
        "norm": lambda: nn.BatchNorm2d(4),
        "plain_norm": lambda: nn.BatchNorm2d(4, affine=False),
    }[kind]().eval()
    if kind == "norm":
        nn.init.constant_(layer.get_parameter("bias"), 0.7)
    before, constant = layer(x).detach(), bias_of(layer)
    silence(layer, ONE, bias=bias)
    after = layer(x).detach()
    rest = 0.0 if bias else float(constant[1])
    assert torch.allclose(after[:, 1], torch.full_like(after[:, 1], rest))
    assert torch.equal(after[:, ~ONE], before[:, ~ONE])


def test_a_layer_without_bias_has_none() -> None:
    assert bias_of(nn.Linear(2, 3, bias=False)).tolist() == [0, 0, 0]
    assert bias_of(nn.BatchNorm1d(2, affine=False)).tolist() == [0, 0]


def test_only_layers_with_channels() -> None:
    with pytest.raises(UndoorError, match="got ReLU"):
        bias_of(nn.ReLU())
